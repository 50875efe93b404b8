import { describe, expect, test } from 'vitest';
import { STOPPED, step } from '../../../agent/lifecycle/lifecycle.ts';
import type { Event, Situation } from '../../../agent/lifecycle/situation.ts';
import { absent, failed, fresh, known, network, retryAfter, start, timer, verdict, waited } from './table.ts';

/** The pause after so many failures in a row as the last event, with the longest chance. */
function pauseOf(begin: readonly Event[], end: Event, longestMs: number | undefined): number {
  let situation: Situation = STOPPED;
  let pause = Number.NaN;
  const happen = (event: Event): void => {
    const next = step(situation, event, { ms: 0, random: 0.999999, longestMs });
    situation = next.situation;
    if (next.actions.some(({ kind }) => kind === 'wait')) pause = waited(next.actions);
  };
  for (const event of begin) happen(event);
  for (let i = 0; i < 20; i++) {
    happen(end);
    happen(timer);
  }
  return pause;
}

describe('the longest pause', () => {
  test.each([
    ['of a device that connects', [start, known], failed(network)],
    ['of one that provisions', [start, fresh], failed(network)],
    ['of one whose key the fabric does not know', [start, known], verdict('unknown')],
    ['of one that was told to come later, but no time', [start, known], retryAfter(0)],
  ] as const)('%s is what the fabric has said, else five minutes', (_, begin, end) => {
    for (const longestMs of [30_000, 120_000]) {
      const pause = pauseOf(begin, end, longestMs);
      expect(pause).toBeGreaterThan(longestMs * 0.99);
      expect(pause).toBeLessThanOrEqual(longestMs);
    }
    expect(pauseOf(begin, end, undefined)).toBeGreaterThan(290_000);
  });

  test('of one whose TPM is out of order is its own affair', () => {
    expect(pauseOf([start], failed(absent), 30_000)).toBeGreaterThan(290_000);
  });

  test('is no bound of a time that the fabric asks for', () => {
    expect(pauseOf([start, known], retryAfter(200), 30_000)).toBeGreaterThanOrEqual(200_000);
  });
});
