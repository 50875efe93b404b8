import { describe, expect, test } from 'vitest';
import { asked, forgotten, told } from './expectations.ts';

const found = (value?: string) => new Map(value === undefined ? [] : [['standing a', value]]);

describe('what clients were told', () => {
  const marks = [told('standing a', 'active'), asked('standing a', 'banned')];

  test('holds until they are told something else', () => {
    for (const value of ['active', 'banned']) expect(forgotten(marks, found(value))).toEqual([]);
    expect(forgotten(marks, found('evicted'))).toEqual(['standing a: evicted in place of active or banned']);
    expect(forgotten([...marks, told('standing a', 'banned')], found('active'))).toEqual([
      'standing a: active in place of banned',
    ]);
  });

  test('is forgotten if nothing is found; of what nobody was told anything, nothing is expected', () => {
    expect(forgotten(marks, found())).toEqual(['standing a: nothing in place of active or banned']);
    expect(forgotten([asked('standing a', 'banned')], found())).toEqual([]);
  });

  test('may be followed by something new, though not by something former', () => {
    const replaced = [told('standing a', 'one'), told('standing a', 'two'), asked('standing a')];
    for (const value of ['two', 'three']) expect(forgotten(replaced, found(value))).toEqual([]);
    expect(forgotten(replaced, found('one'))).toHaveLength(1);
    expect(forgotten(replaced.slice(0, 2), found('three'))).toHaveLength(1);
  });
});
