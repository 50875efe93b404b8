import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { type InTurns, inTurns } from '../../../../fabric/router/questions/turns.ts';
import { type StandingClock, standingClock } from './clock.ts';

let clock: StandingClock;
/** How long each event takes, in milliseconds. */
let takes: number;
let handled: number[];
/** What an event has begun. */
let begun: Promise<void> | undefined;
let events: InTurns<number>;

beforeEach(() => {
  clock = standingClock();
  [takes, handled, begun] = [0, [], undefined];
  events = inTurns((event) => {
    handled.push(event);
    clock.spend(takes);
    return begun;
  });
});
afterEach(() => void vi.unstubAllGlobals());

const upTo = (last: number): number[] => Array.from({ length: last }, (_, i) => i + 1);
const takeAll = (from: number, to: number): void => {
  for (let event = from; event <= to; event++) events.take(event);
};

test('events are handled when they come', () => {
  takeAll(1, 1_000);
  expect(handled).toEqual(upTo(1_000));
});

test('[H-A3] those that take long are handled in several turns, in order', () => {
  takes = 2_000;
  takeAll(1, 3);
  expect(handled).toEqual([1]);
  clock.turn();
  expect(handled).toEqual([1, 2]);
  // What comes meanwhile does not overtake.
  takeAll(4, 4);
  clock.turn();
  expect(handled).toEqual([1, 2, 3]);
  clock.turn();
  expect(handled).toEqual([1, 2, 3, 4]);
});

test('each turn has its own time', () => {
  takes = 30;
  takeAll(1, 10);
  expect(handled).toEqual(upTo(4));
  clock.turn();
  expect(handled).toEqual(upTo(8));
  clock.turn();
  clock.turn();
  expect(handled).toEqual(upTo(10));
  takeAll(11, 14);
  expect(handled).toEqual(upTo(14));
});

test('what waits is handled before the end', () => {
  takes = 2_000;
  takeAll(1, 5);
  events.finish();
  expect(handled).toEqual(upTo(5));
  clock.turn();
  expect(handled).toEqual(upTo(5));
});

test('whoever waits for an event hears when it was handled', async () => {
  takes = 60;
  const taken = [1, 2, 3, 4].map((event) => events.take(event));
  expect(taken.map((each) => each === undefined)).toEqual([true, true, false, false]);
  const done: number[] = [];
  for (const [i, each] of taken.entries()) void each?.then(() => done.push(i + 1));
  clock.turn();
  await taken[3];
  expect(done).toEqual([3, 4]);
  expect(handled).toEqual(upTo(4));
});

test('whoever waits hears when what an event has begun is done, and the next event does not wait for that', async () => {
  takes = 60;
  const ends: (() => void)[] = [];
  const done: number[] = [];
  for (const event of [1, 2, 3]) {
    begun = new Promise((resolve) => ends.push(resolve));
    void events.take(event)?.then(() => done.push(event));
  }
  begun = new Promise((resolve) => ends.push(resolve));
  clock.turn();
  expect(handled).toEqual(upTo(3));
  await Promise.resolve();
  expect(done).toEqual([]);
  ends[0]!();
  await Promise.resolve();
  expect(done).toEqual([1]);
  ends[3]!();
  await expect.poll(() => done).toEqual([1, 3]);
});
