import { JsonParts } from '../os/net/control-socket.ts';
import { isFailure } from '../protocol/failure.ts';
import { parseIpv6 } from '../protocol/ipv6.ts';
import { badInput, checker, objectOf, whole } from './operations/contract/input.ts';
import { SESSIONS_PER_PAGE } from './operations/running.ts';
import { ownTurn } from './registry/turns.ts';
import type { Router, SessionView } from './router/router.ts';

/** Sessions that are read in one turn of the event loop: some milliseconds. */
const READ_AT_ONCE = 200;

const checkLimit = checker(objectOf({ limit: whole(1, SESSIONS_PER_PAGE) }));

type Sessions = Pick<Router, 'sessions'>;

/**
 * The sessions as a JSON array in the order of their addresses, a line for each, in parts: all of them, or with `limit` and `after`
 * in the query at most so many of those behind an address. @throws Failure `fabric.bad-input`
 */
export function sessionList(router: Sessions, query: URLSearchParams): JsonParts {
  const limit = query.has('limit')
    ? checkLimit({ limit: Number(query.get('limit')) }).limit
    : Number.POSITIVE_INFINITY;
  return new JsonParts(jsonArray(eachPart(router, addressIn(query.get('after')), limit)));
}

async function* eachPart(
  router: Sessions,
  after: Uint8Array | undefined,
  limit: number,
): AsyncGenerator<readonly SessionView[]> {
  let last = after;
  for (let left = limit; left > 0; ) {
    await ownTurn();
    const part = router.sessions(last, Math.min(left, READ_AT_ONCE));
    if (part.length === 0) return;
    yield part;
    left -= part.length;
    last = parseIpv6(part.at(-1)!.address);
  }
}

async function* jsonArray(parts: AsyncIterable<readonly unknown[]>): AsyncGenerator<string> {
  let before = '[\n';
  for await (const part of parts) {
    yield before + part.map((row) => JSON.stringify(row)).join(',\n');
    before = ',\n';
  }
  yield before === '[\n' ? '[]\n' : '\n]\n';
}

function addressIn(text: string | null): Uint8Array | undefined {
  if (text === null) return undefined;
  try {
    return parseIpv6(text);
  } catch (error) {
    throw isFailure(error) ? badInput('after', 'is not an address') : error;
  }
}
