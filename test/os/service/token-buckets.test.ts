import { expect, test } from 'vitest';
import { tokenBuckets } from '../../../os/service/token-buckets.ts';

const RATE = { burst: 3, periodMs: 10_000 };

test('[H-A6] a key has its burst, then one in each period, and all of it again after a quiet time', () => {
  let now = 5;
  const { take, wait } = tokenBuckets(RATE, () => now);
  expect([take('a'), take('a'), take('a')]).toEqual([0, 0, 0]);
  expect([take('a'), take('a'), wait('a')]).toEqual([10_000, 10_000, 10_000]);
  expect([wait('b'), take('b')]).toEqual([0, 0]);
  now += 4_000;
  expect(take('a')).toBe(6_000);
  now += 6_000;
  expect([take('a'), take('a')]).toEqual([0, 10_000]);
  now += 30_000;
  expect([take('a'), take('a'), take('a'), take('a')]).toEqual([0, 0, 0, 10_000]);
});

test('[H-A6] only so many keys are remembered; those that are refused go last', () => {
  const { take, wait } = tokenBuckets({ burst: 1, periodMs: 10_000 }, () => 0, 3);
  expect(take('flood')).toBe(0);
  for (let i = 0; i < 100; i++) {
    take(`${i}`);
    expect([wait, take][i % 2]!('flood')).toBe(10_000);
  }
  for (let i = 0; i < 3; i++) take(`crowd ${i}`);
  expect(take('flood')).toBe(0);
});
