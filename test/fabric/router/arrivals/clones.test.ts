import { describe, expect, it } from 'vitest';
import { cloneDetector, RETURNS, WINDOW_MS } from '../../../../fabric/router/clones.ts';

const A = 'fd00:1::a';

/** Connections from these outer addresses, each replacing the one before; what the detector reports. */
function replay(places: readonly string[], everyMs = 1_000, detector = cloneDetector(), from = 0) {
  return places.flatMap((place, i) => {
    if (i === 0) return [];
    const found = detector.replacement(A, place, places[i - 1]!, from + i * everyMs);
    return found === undefined ? [] : [{ i, found }];
  });
}

const turns = (count: number): string[] => Array.from({ length: count }, (_, i) => (i % 2 === 0 ? 'x' : 'y'));

describe('[C-22] two devices with one key', () => {
  it('are reported once, when they have returned to an outer address often enough', () => {
    expect(replay(turns(RETURNS + 1))).toEqual([]);
    expect(replay(turns(40))).toEqual([{ i: RETURNS + 1, found: ['x', 'y'] }]);
  });

  it('are reported again after an hour', () => {
    const detector = cloneDetector();
    expect(replay(turns(10), 1_000, detector)).toHaveLength(1);
    expect(replay(turns(10), 1_000, detector, 3_500_000)).toEqual([]);
    expect(replay(turns(10), 1_000, detector, 3_700_000)).toHaveLength(1);
  });

  it('are reported as three if there are three', () => {
    const [{ found } = { found: undefined }] = replay(['x', 'y', 'z', 'x', 'y', 'z', 'x', 'y']);
    expect(found).toEqual(['x', 'y', 'z']);
  });

  it('are not found where one device connects anew, from the same outer address or from ever others', () => {
    expect(replay(Array.from({ length: 50 }, () => 'x'))).toEqual([]);
    expect(replay(Array.from({ length: 50 }, (_, i) => `place ${i}`))).toEqual([]);
    expect(replay(['x', 'x', 'y', 'y', 'x', 'x'])).toEqual([]);
  });

  it('are not found if the turns are slower than a device that was replaced connects anew', () => {
    expect(replay(turns(40), WINDOW_MS / RETURNS)).toEqual([]);
  });

  it('are counted per address', () => {
    const detector = cloneDetector();
    const places = turns(RETURNS + 2);
    for (const [i, place] of places.entries()) {
      if (i > 0) expect(detector.replacement(`address ${i}`, place, places[i - 1]!, i)).toBeUndefined();
    }
  });

  it('only so many addresses are remembered, the oldest is forgotten first', () => {
    const detector = cloneDetector();
    const before = turns(RETURNS + 1);
    expect(replay(before, 1, detector)).toEqual([]);
    for (let i = 0; i < 5_000; i++) detector.replacement(`crowd ${i}`, 'x', 'y', 100);
    const [last, former] = [...before.slice(-1), before.at(-2)!];
    expect(detector.replacement(A, former!, last!, 200)).toBeUndefined();
  });
});
