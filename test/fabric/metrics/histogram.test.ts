import { expect, test } from 'vitest';
import { histogram, LATENCY_SECONDS } from '../../../fabric/metrics/histogram.ts';

test('a value counts in the first bucket whose bound it does not exceed, or in the last', () => {
  const { observe, numbers } = histogram([1, 2]);
  const before = numbers();
  for (const value of [0, 1, 1.5, 2, 2.1, Number.POSITIVE_INFINITY]) observe(value);
  expect(numbers().counts).toEqual([2, 2, 2]);
  expect(before.counts).toEqual([0, 0, 0]);
});

test('the bounds of latencies ascend', () => {
  expect([...LATENCY_SECONDS].sort((a, b) => a - b)).toEqual(LATENCY_SECONDS);
});
