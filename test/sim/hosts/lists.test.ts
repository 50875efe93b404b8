import { describe, expect, test } from 'vitest';
import { seeded } from '../random.ts';
import { makeLists } from './lists.ts';

/** Of agent 1, as they are tried now. */
const order = (lists: ReturnType<typeof makeLists>): number[] =>
  Array.from({ length: lists.length(1) }, (_, place) => lists.at(1, place));

describe('the list of hosts of an agent', () => {
  test('is the same for all, or its own', () => {
    expect(order(makeLists(2, 3, 'same', seeded(1)))).toEqual([0, 1, 2]);
    const own = order(makeLists(2, 8, 'list', seeded(1)));
    expect(own).not.toEqual([0, 1, 2, 3, 4, 5, 6, 7]);
    expect([...own].sort()).toEqual([0, 1, 2, 3, 4, 5, 6, 7]);
  });

  test('has the host last that failed, unless it begins with the first each time', () => {
    const [same, first] = [makeLists(2, 3, 'same', seeded(1)), makeLists(2, 3, 'first', seeded(1))];
    for (const lists of [same, first]) lists.failed(1, 0, 0);
    expect([order(same), order(first)]).toEqual([
      [1, 2, 0],
      [0, 1, 2],
    ]);
    expect(same.at(0, 0)).toBe(0);
  });

  test('is without those that have told it to come later, until all have or it was let in', () => {
    const lists = makeLists(2, 4, 'same', seeded(1));
    expect(lists.refused(1, 0, 0, 30)).toBe(true);
    expect(order(lists)).toEqual([1, 2, 3]);
    // One before it was not reached.
    expect(lists.refused(1, 1, 0, 30)).toBe(true);
    expect(order(lists)).toEqual([3]);
    expect(lists.refused(1, 0, 0, 30)).toBe(false);
    expect(order(lists)).toEqual([0, 1, 2, 3]);
    expect(lists.refused(1, 0, 0, 30)).toBe(true);
    lists.forget(1);
    expect(lists.length(1)).toBe(4);
  });
});
