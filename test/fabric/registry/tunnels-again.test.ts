import { expect, onTestFinished, test } from 'vitest';
import { type Database, keep, type Statement } from '../../../fabric/registry/sql/base/statements.ts';
import { tunnelPart } from '../../../fabric/registry/sql/tunnels.ts';
import { tunnelNews } from '../../../fabric/registry/tunnels/news.ts';
import { Failure } from '../../../protocol/failure.ts';

const LOCKED = new Failure('registry.locked', 'retry', 'busy');

/** An address by its number. */
const device = (number: number): Uint8Array => Buffer.from(number.toString(16).padStart(32, '0'), 'hex');

/** Tunnels of so many devices, none of which the registry knows, and what is asked when all are compared: the number of the first device of each part. */
function place(devices: number) {
  const asked: number[] = [];
  const errors: unknown[] = [];
  let answer = (_: number): void => {};
  const statement: Statement = {
    get: () => undefined,
    all(given) {
      // Otherwise those whose end is not recorded are looked for.
      if (typeof given === 'string') {
        asked.push(Number.parseInt((JSON.parse(given) as string[])[0]!, 16));
        answer(asked.length);
      }
      return [];
    },
    run: () => ({ changes: 0 }),
    pluck: () => statement,
    raw: () => statement,
  };
  const db: Database = keep({
    ...{ open: true, engine: 'sqlite' as const },
    prepare: () => statement,
    transaction: (work) => work,
  });
  const tunnels = tunnelPart(db, {
    now: () => 1_000,
    queue: { submit: async (job) => job(), close: async () => {} },
    feed: { pass: () => {} },
    news: tunnelNews(0),
    keep: { address: (address) => address, endpoint: (endpoint) => endpoint },
    node: () => undefined,
    onError: (error) => void errors.push(error),
    retryMs: 1,
  });
  onTestFinished(tunnels.flush);
  const connect = (number: number) => tunnels.part.connected(device(number), '192.0.2.1:1');
  for (let number = 0; number < devices; number++) connect(number);
  return {
    ...{ asked, errors },
    /** What happens when a part is asked, by its place in the order of all. */
    answering(answers: typeof answer) {
      answer = answers;
    },
    sayAgain: tunnels.sayAgain,
    done: tunnels.closed,
  };
}

const failAt =
  (...places: number[]) =>
  (at: number): void => {
    if (places.includes(at)) throw LOCKED;
  };

test('after a part that failed all tunnels are not said from the beginning again, but from that part', async () => {
  const { asked, errors, answering, sayAgain, done } = place(401);
  answering(failAt(2, 3));
  sayAgain();
  await done();
  expect(errors).toEqual([LOCKED, LOCKED]);
  expect(asked).toEqual([0, 200, 200, 200, 400]);
});

test('they are if others took them for ended meanwhile', async () => {
  const { asked, answering, sayAgain, done } = place(401);
  const fails = failAt(2);
  answering((at) => {
    if (at === 2) sayAgain();
    fails(at);
  });
  sayAgain();
  await done();
  expect(asked).toEqual([0, 200, 200, 400, 0, 200, 400]);
});
