import { describe, expect, test } from 'vitest';
import { STOPPED, step } from '../../../agent/lifecycle/lifecycle.ts';
import type { Situation } from '../../../agent/lifecycle/situation.ts';
import { RETRY } from '../../../agent/lifecycle/timing.ts';
import { longestPause } from '../../../fabric/router/pace.ts';
import { pause } from '../../../protocol/backoff.ts';
import { failed, known, network, start, timer, up } from './table.ts';

/*
 * Devices of a fabric that was away, with a simulated clock and the code that decides their pauses. An attempt takes no time; a fabric that is there takes
 * each one, so that what arrives in a second is what it has to be able to take.
 */

/** Uniform in [0, 1), the same in each run (mulberry32). */
function chances(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** How long after the fabric's return a device is back whose life goes on with the lifecycle itself. Milliseconds. */
function backAfter(outageMs: number, longestMs: number | undefined, random: () => number): number {
  let situation: Situation = STOPPED;
  let ms = 0;
  const happen = (...events: Parameters<typeof step>[1][]): number | undefined => {
    let wait: number | undefined;
    for (const event of events) {
      const next = step(situation, event, { ms, random: random(), longestMs });
      situation = next.situation;
      for (const action of next.actions) if (action.kind === 'wait') wait = action.ms;
    }
    return wait;
  };
  happen(start, known, up);
  // Online for long.
  ms += 3_600_000;
  const away = ms;
  let wait = happen(failed(network));
  for (;;) {
    ms += wait!;
    happen(timer);
    if (ms - away >= outageMs) break;
    wait = happen(failed(network));
  }
  happen(up);
  expect(situation.kind).toBe('online');
  return ms - away - outageMs;
}

const OUTAGE_MS = 300_000;
const TWO_MINUTES_MS = 120_000;

describe('a fabric that was away for five minutes', () => {
  const back = (devices: number, longestMs: number | undefined): number[] => {
    const random = chances(devices);
    return Array.from({ length: devices }, () => backAfter(OUTAGE_MS, longestMs, random));
  };

  test.each([10, 500, 12_000])(
    'has %d devices back within two minutes that were told its pace',
    (devices) => {
      const longestMs = longestPause(devices, 300) * 1_000;
      const latest = back(devices, longestMs).reduce((a, b) => Math.max(a, b));
      expect(latest).toBeLessThanOrEqual(longestMs);
      expect(latest).toBeLessThanOrEqual(TWO_MINUTES_MS);
    },
  );

  test('waits longer for some of those who were told nothing', () => {
    expect(back(500, undefined).some((ms) => ms > TWO_MINUTES_MS)).toBe(true);
  });
});

/** How many of a million devices arrive in the busiest second after an outage. */
function busiest(devices: number, outageMs: number, capMs: number): number {
  const random = chances(7);
  const arrivals = new Uint32Array(capMs / 1_000 + 1);
  for (let device = 0; device < devices; device++) {
    let ms = 0;
    for (let attempt = 0; ms < outageMs; attempt++) ms += pause({ ...RETRY, capMs }, attempt, random());
    const second = Math.floor((ms - outageMs) / 1_000);
    arrivals[second] = arrivals[second]! + 1;
  }
  return arrivals.reduce((a, b) => Math.max(a, b));
}

describe('a million devices of a fabric that was away for ten minutes', () => {
  const MILLION = 1_000_000;
  const TAKES = 10_000;

  test('come at the pace that they were told, in no second more than it takes', () => {
    expect(busiest(MILLION, 600_000, longestPause(MILLION, TAKES) * 1_000)).toBeLessThan(TAKES);
  });

  test('come no more at once than a larger fabric takes, which has them back sooner', () => {
    const seconds = longestPause(MILLION, 30_000);
    expect(seconds).toBeLessThanOrEqual(120);
    expect(busiest(MILLION, 600_000, seconds * 1_000)).toBeLessThan(30_000);
  });

  test('would be more than it takes at the pace of a small fabric', () => {
    expect(busiest(MILLION / 10, 600_000, 30_000)).toBeGreaterThan(TAKES / 10);
  });
});
