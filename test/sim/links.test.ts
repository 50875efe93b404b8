import { expect, test } from 'vitest';
import { linkedLists, timerWheel } from './links.ts';

test('lists give the first that came in, and any item leaves', () => {
  const lists = linkedLists(6, 2);
  for (const item of [3, 1, 4, 0]) lists.push(1, item);
  lists.push(0, 5);
  expect([lists.first(0), lists.first(1), lists.count(0), lists.count(1)]).toEqual([5, 3, 1, 4]);
  lists.remove(1, 1);
  lists.remove(1, 3);
  lists.push(0, 3);
  expect([lists.first(1), lists.count(1)]).toEqual([4, 2]);
  lists.remove(1, 0);
  lists.push(1, 1);
  lists.remove(1, 4);
  expect([lists.first(1), lists.count(1)]).toEqual([1, 1]);
  lists.remove(1, 1);
  expect([lists.first(1), lists.count(1)]).toEqual([-1, 0]);
  lists.remove(0, 5);
  expect(lists.first(0)).toBe(3);
});

test('a wheel ends each timer once, in its step, and a newer one takes the place of another', () => {
  const wheel = timerWheel(4, 10);
  const ended: string[] = [];
  wheel.set(0, 2);
  wheel.set(1, 2);
  wheel.set(2, 3);
  wheel.set(0, 4);
  wheel.set(3, 99);
  wheel.clear(2);
  wheel.clear(2);
  expect(wheel.count).toBe(3);
  for (let step = 0; step < 10; step++)
    wheel.end(step, (item) => {
      ended.push(`${item} in ${step}`);
      if (item === 1 && step === 2) wheel.set(1, 5);
    });
  expect(ended).toEqual(['1 in 2', '0 in 4', '1 in 5']);
  expect([wheel.isSet(0), wheel.isSet(3), wheel.count]).toEqual([false, true, 1]);
});
