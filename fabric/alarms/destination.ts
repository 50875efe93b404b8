import type { LookupFunction } from 'node:net';
import { Forbidden, isPrivate, parseWebAddress, resolveOutbound } from '../../os/net/outbound.ts';
import { Failure } from '../../protocol/failure.ts';

/** Where a hook sends to. */
export type Destination =
  | { readonly kind: 'http'; readonly url: URL }
  | { readonly kind: 'mail'; readonly to: string };

const LONGEST = 500;
const MAILBOX = /^[^\s@<>"'(),:;[\]\\]{1,64}@[A-Za-z0-9.-]{1,190}$/;

/** Parses `https://…`, `http://…` or `mailto:NAME@HOST`. @throws Failure `fabric.bad-hook` */
export function parseDestination(text: string): Destination {
  const [, to] = text.length > LONGEST ? [] : (/^mailto:(.*)$/i.exec(text) ?? []);
  if (to !== undefined) {
    if (!MAILBOX.test(to)) throw badHook('expected mailto:NAME@HOST with one address');
    return { kind: 'mail', to };
  }
  const read = parseWebAddress(text);
  if ('wrong' in read) throw badHook(read.wrong);
  return { kind: 'http', url: read.url };
}

function badHook(what: string): Failure {
  return new Failure('fabric.bad-hook', 'operator', `the hook: ${what}`, {
    action: 'Give an address such as https://hooks.example.org/enf or mailto:ops@example.org.',
  });
}

/** As `resolveOutbound`; what is told in the clear does not leave private networks. */
export async function resolveDestination(
  url: URL,
  allowPrivate: boolean,
): Promise<{ readonly address: string; readonly lookup: LookupFunction }> {
  const resolved = await resolveOutbound(url, allowPrivate);
  if (url.protocol === 'http:' && !isPrivate(resolved.address))
    throw new Forbidden('http: is only for private networks; use https:');
  return resolved;
}
