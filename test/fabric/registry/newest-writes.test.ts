import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { newestWrites } from '../../../fabric/registry/tunnels/newest-writes.ts';

beforeEach(() => void vi.useFakeTimers());
afterEach(() => vi.useRealTimers());

/** Writes are lists; a newer one is appended to the one that it meets waiting. */
function noted() {
  const written: string[] = [];
  const writes = newestWrites<string>(
    (each) => written.push(each),
    (older, newer) => `${older}${newer}`,
    { burst: 2, periodMs: 10_000 },
  );
  return { written, ...writes };
}

test('[H-A6] the first writes of a key are done at once, later ones together and once in a period', () => {
  const { written, put } = noted();
  for (const each of ['1', '2', '3', '4', '5']) put('a', each);
  put('b', 'b');
  expect(written).toEqual(['1', '2', 'b']);
  vi.advanceTimersByTime(10_000);
  expect(written).toEqual(['1', '2', 'b', '345']);
  put('a', '6');
  expect(written).toHaveLength(4);
  vi.advanceTimersByTime(60_000);
  expect(written).toEqual(['1', '2', 'b', '345', '6']);
  expect(vi.getTimerCount()).toBe(0);
});

test('[H-A6] an hour of changes costs a write in each period, and the last one is never lost', () => {
  const { written, put } = noted();
  for (let second = 0; second < 3_600; second++) {
    put('a', second === 3_599 ? 'last' : '.');
    vi.advanceTimersByTime(1_000);
  }
  expect(written.length).toBeLessThanOrEqual(2 + 360);
  vi.advanceTimersByTime(10_000);
  expect(written.join('')).toMatch(/^\.{3599}last$/);
});

test('[H-A6] so many keys wait at most, and a flush writes them all', () => {
  const { written, put, flush } = noted();
  for (let key = 0; key < 5_000; key++) for (const each of ['1', '2', '3']) put(`${key}`, each);
  expect(written.filter((each) => each === '3')).toHaveLength(5_000 - 4_096);
  flush();
  expect(written).toHaveLength(15_000);
  expect(vi.getTimerCount()).toBe(0);
});
