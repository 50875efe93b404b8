import { expect, test } from 'vitest';
import { openBarriers } from '../../tunnel/barriers.ts';

const LONG = 3_600_000;

test('[H-A1] a barrier is passed when each thread has come to it', async () => {
  const barriers = openBarriers(2);
  const sent: number[] = [];
  const passed: string[] = [];
  const first = barriers
    .begin(LONG, (number) => sent.push(number))
    .then((all) => passed.push(`first ${all}`));
  const second = barriers
    .begin(LONG, (number) => sent.push(number))
    .then((all) => passed.push(`second ${all}`));
  expect(new Set(sent).size).toBe(2);
  barriers.reach(sent[0]!);
  barriers.reach(sent[1]!);
  await Promise.resolve();
  expect(passed).toEqual([]);
  barriers.reach(sent[0]!);
  await first;
  expect(passed).toEqual(['first true']);
  barriers.reach(sent[1]!);
  await second;
  expect(passed).toEqual(['first true', 'second true']);
  barriers.reach(sent[1]!); // nobody waits for it
});

test('[H-A1] a thread that does not come to it is waited for so long, and its word does not count later', async () => {
  const barriers = openBarriers(2);
  let number = 0;
  const begin = (withinMs: number): Promise<boolean> => barriers.begin(withinMs, (given) => (number = given));
  const late = begin(1);
  barriers.reach(number);
  expect(await late).toBe(false);
  barriers.reach(number);
  const next = begin(LONG);
  barriers.reach(number);
  barriers.reach(number);
  expect(await next).toBe(true);
});

test('threads that have ended have nothing left to do', async () => {
  const barriers = openBarriers(3);
  const waiting = barriers.begin(LONG, () => {});
  barriers.close();
  expect(await waiting).toBe(true);
  expect(await barriers.begin(LONG, () => expect.unreachable())).toBe(true);
});

test('who cannot be asked is not waited for', async () => {
  const barriers = openBarriers(1);
  const fail = (): never => {
    throw new Error('out of memory');
  };
  await expect(barriers.begin(LONG, fail)).rejects.toThrow('out of memory');
});
