import { describe, expect, test } from 'vitest';
import { FORGET_MS } from '../../../os/net/choice.ts';
import { seeded } from '../random.ts';
import { makeNames } from './names.ts';

/** Of agent 1, as it tries them at that time. */
function order(names: ReturnType<typeof makeNames>, ms = 0): number[] {
  names.begin(1, ms);
  return Array.from({ length: names.length(1) }, (_, place) => names.at(1, place));
}

describe('the addresses of one name', () => {
  test('are tried from one of them on, by chance', () => {
    const names = makeNames(2, 3, seeded(1));
    const seen = new Set(Array.from({ length: 100 }, () => order(names).join(' ')));
    expect([...seen].sort()).toEqual(['0 1 2', '1 2 0', '2 0 1']);
  });

  test('are tried last if they have failed, the oldest failure first, and not for ever', () => {
    const names = makeNames(2, 4, () => 0);
    order(names);
    names.failed(1, 2, 1_000);
    expect(order(names, 2_000)).toEqual([0, 1, 3, 2]);
    names.failed(1, 0, 2_000);
    expect(order(names, 3_000)).toEqual([1, 3, 2, 0]);
    names.worked(1, 3);
    expect(order(names, 3_000)).toEqual([0, 1, 3, 2]);
    expect(order(names, 1_000 + FORGET_MS)).toEqual([0, 1, 2, 3]);
    names.begin(0, 3_000);
    expect(names.at(0, 3)).toBe(3);
  });

  test('are left out as long as they have said, unless all have', () => {
    const names = makeNames(2, 2, () => 0);
    order(names);
    expect(names.refused(1, 0, 1_000, 30)).toBe(true);
    expect(order(names, 2_000)).toEqual([1]);
    expect(names.refused(1, 0, 2_000, 60)).toBe(false);
    expect(order(names, 3_000)).toEqual([0, 1]);
    expect(order(names, 31_000)).toEqual([0]);
    expect(order(names, 62_000)).toEqual([0, 1]);
  });
});
