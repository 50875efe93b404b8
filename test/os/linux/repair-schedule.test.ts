import { expect, onTestFinished, test, vi } from 'vitest';
import {
  LEAST_INTERVAL_MS,
  LONGEST_PAUSE_MS,
  repairSchedule,
  SETTLE_MS,
} from '../../../os/linux/repair-schedule.ts';

/** A schedule of repairs that fail as often as `failures` says; `runs` are the times of the repairs. */
function scheduled(failures = 0) {
  vi.useFakeTimers();
  onTestFinished(() => void vi.useRealTimers());
  const begin = performance.now();
  const runs: number[] = [];
  const reported: boolean[] = [];
  const schedule = repairSchedule(
    async () => {
      schedule.started();
      runs.push(performance.now() - begin);
      if (runs.length <= failures) throw new Error('no');
    },
    (_, first) => reported.push(first),
  );
  onTestFinished(() => schedule.close());
  return { schedule, runs, reported, pass: (ms: number) => vi.advanceTimersByTimeAsync(ms) };
}

test('a burst of changes is one repair, shortly after its first', async () => {
  const { schedule, runs, pass } = scheduled();
  for (let i = 0; i < 3; i++) {
    schedule.request();
    await pass(SETTLE_MS / 3);
  }
  await pass(10_000);
  expect(runs).toEqual([SETTLE_MS]);
});

test('repairs keep their distance, whatever changes', async () => {
  const { schedule, runs, pass } = scheduled();
  schedule.started();
  for (let i = 0; i < 25; i++) {
    schedule.request();
    await pass(100);
  }
  expect(runs).toEqual([LEAST_INTERVAL_MS, 2 * LEAST_INTERVAL_MS]);
});

test('a failure is tried again at pauses that double up to a minute; only the first is one', async () => {
  const { schedule, runs, reported, pass } = scheduled(9);
  schedule.request();
  await pass(400_000);
  const pauses = runs.slice(1).map((ms, i) => ms - runs[i]!);
  expect(pauses).toEqual([1, 2, 4, 8, 16, 32, 60, 60, 60].map((seconds) => seconds * 1_000));
  expect(Math.max(...pauses)).toBe(LONGEST_PAUSE_MS);
  expect(reported).toEqual([true, ...Array(8).fill(false)]);
  schedule.request();
  await pass(LEAST_INTERVAL_MS);
  expect(runs).toHaveLength(11);
});

test('nothing after it was closed', async () => {
  const { schedule, runs, pass } = scheduled();
  schedule.request();
  schedule.close();
  schedule.request();
  await pass(10_000);
  expect(runs).toEqual([]);
});
