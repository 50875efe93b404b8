import { describe, expect, it } from 'vitest';
import { CLONES_AGAIN_MS, REPLACEMENT_WINDOW_MS } from '../../../../fabric/registry/admission.ts';
import { cloneDetector, clonesAmongNodes, RETURNS } from '../../../../fabric/router/clones.ts';

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
    expect(replay(turns(40), REPLACEMENT_WINDOW_MS / RETURNS)).toEqual([]);
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

describe('[C-22] two devices with one key at several nodes', () => {
  const HOST = '192.0.2.1';
  /** The last of tunnels from these places, each of which replaces the one before it. */
  const attachment = (places: readonly string[], everyMs = 1_000, clonesTold?: number) => ({
    generation: places.length,
    replacements: places
      .slice(1)
      .map((by, i) => ({ at: (i + 1) * everyMs, by, from: places[i]! }))
      .filter(({ by, from }) => by !== from),
    former: '[2001:db8::1]:5000',
    ...(clonesTold !== undefined && { clonesTold }),
  });

  it('are found by as many returns as at one', () => {
    expect(clonesAmongNodes(attachment(turns(RETURNS + 1)), HOST)).toBeUndefined();
    expect(clonesAmongNodes(attachment(turns(RETURNS + 2)), HOST)).toEqual([HOST, '2001:db8::1']);
    expect(clonesAmongNodes(attachment(['x', 'y', 'z', 'x', 'y', 'z']), HOST)).toHaveLength(2);
  });

  it('are named once if only one outer address is known', () => {
    const found = attachment(turns(RETURNS + 2));
    for (const former of ['', `${HOST}:5000`])
      expect(clonesAmongNodes({ ...found, former }, HOST)).toEqual([HOST]);
  });

  it('are not found where one device roams, or comes back slowly', () => {
    const ever = Array.from({ length: 32 }, (_, i) => `place ${i}`);
    for (const places of [ever, ['x'], ['x', 'y', 'x'], ['x', 'x', 'y', 'y', 'x', 'x']])
      expect(clonesAmongNodes(attachment(places), HOST)).toBeUndefined();
    expect(clonesAmongNodes(attachment(turns(32), REPLACEMENT_WINDOW_MS / RETURNS), HOST)).toBeUndefined();
    expect(clonesAmongNodes({ generation: 9, replacements: [], former: HOST }, HOST)).toBeUndefined();
  });

  it('are not told of again within the hour, by whichever node', () => {
    const last = 31 * 1_000;
    expect(clonesAmongNodes(attachment(turns(32), 1_000, last - CLONES_AGAIN_MS + 1), HOST)).toBeUndefined();
    expect(clonesAmongNodes(attachment(turns(32), 1_000, last - CLONES_AGAIN_MS), HOST)).toHaveLength(2);
  });
});
