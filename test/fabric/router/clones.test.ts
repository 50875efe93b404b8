import { describe, expect, it } from 'vitest';
import { RETURNS, WINDOW_MS, watchTwins } from '../../../fabric/router/clones.ts';

const A = 'fd00:1::a';

/** Lets connections from these places come one after the other, each displacing the one before; what was said. */
function say(places: readonly string[], everyMs = 1_000, watch = watchTwins(), from = 0) {
  return places.flatMap((place, i) => {
    if (i === 0) return [];
    const found = watch.takeover(A, place, places[i - 1]!, from + i * everyMs);
    return found === undefined ? [] : [{ i, found }];
  });
}

const turns = (count: number): string[] => Array.from({ length: count }, (_, i) => (i % 2 === 0 ? 'x' : 'y'));

describe('[C-22] two devices with one key', () => {
  it('are found when they have come back to the same place often enough, and said once', () => {
    expect(say(turns(RETURNS + 1))).toEqual([]);
    expect(say(turns(40))).toEqual([{ i: RETURNS + 1, found: ['x', 'y'] }]);
  });

  it('are said again after an hour', () => {
    const watch = watchTwins();
    expect(say(turns(10), 1_000, watch)).toHaveLength(1);
    expect(say(turns(10), 1_000, watch, 3_500_000)).toEqual([]);
    expect(say(turns(10), 1_000, watch, 3_700_000)).toHaveLength(1);
  });

  it('three of them are three', () => {
    const [{ found } = { found: undefined }] = say(['x', 'y', 'z', 'x', 'y', 'z', 'x', 'y']);
    expect(found).toEqual(['x', 'y', 'z']);
  });

  it('are none where one device connects anew, from the same place or from ever others', () => {
    expect(say(Array.from({ length: 50 }, () => 'x'))).toEqual([]);
    expect(say(Array.from({ length: 50 }, (_, i) => `place ${i}`))).toEqual([]);
    expect(say(['x', 'x', 'y', 'y', 'x', 'x'])).toEqual([]);
  });

  it('are none if the turns are slower than any device that was driven out', () => {
    expect(say(turns(40), WINDOW_MS / RETURNS)).toEqual([]);
  });

  it('at other addresses are others', () => {
    const watch = watchTwins();
    const places = turns(RETURNS + 2);
    for (const [i, place] of places.entries()) {
      if (i > 0) expect(watch.takeover(`address ${i}`, place, places[i - 1]!, i)).toBeUndefined();
    }
  });

  it('a crowd of addresses is forgotten, the oldest first', () => {
    const watch = watchTwins();
    const before = turns(RETURNS + 1);
    expect(say(before, 1, watch)).toEqual([]);
    for (let i = 0; i < 5_000; i++) watch.takeover(`crowd ${i}`, 'x', 'y', 100);
    const [last, former] = [...before.slice(-1), before.at(-2)!];
    expect(watch.takeover(A, former!, last!, 200)).toBeUndefined();
  });
});
