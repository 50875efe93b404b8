import { expect, test } from 'vitest';
import { newestMap } from '../../protocol/newest-map.ts';

test('holds what was set last, whatever was deleted and set again between', () => {
  const most = 7;
  const map = newestMap<number, number>(most);
  let expected: [number, number][] = [];
  let seed = 5;
  const random = (below: number): number => {
    seed = (Math.imul(seed, 1_103_515_245) + 12_345) >>> 0;
    return (seed >>> 16) % below;
  };
  for (let n = 0; n < 20_000; n++) {
    const key = random(20);
    const without = expected.filter(([each]) => each !== key);
    // Now and then it becomes empty.
    if (random(3) === 0 || n % 500 > 480) {
      expect(map.delete(key)).toBe(without.length < expected.length);
      expected = without;
    } else {
      map.set(key, n);
      expected = [...without, [key, n] as [number, number]].slice(-most);
    }
    expect(map.size).toBe(expected.length);
    for (let each = 0; each < 20; each++)
      expect(map.get(each)).toBe(expected.find(([known]) => known === each)?.[1]);
  }
});

test('becomes empty, and begins anew', () => {
  const map = newestMap<string, number>(1);
  for (const key of ['a', 'b', 'c']) {
    map.set(key, 1);
    map.set(`${key}2`, 2);
    expect([map.get(key), map.get(`${key}2`)]).toEqual([undefined, 2]);
    map.delete(`${key}2`);
    expect(map.size).toBe(0);
  }
});
