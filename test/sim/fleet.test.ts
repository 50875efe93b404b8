import { describe, expect, test } from 'vitest';
import { STOPPED, step } from '../../agent/lifecycle/lifecycle.ts';
import type { Event, Situation } from '../../agent/lifecycle/situation.ts';
import {
  failed,
  network,
  renew,
  retryAfter,
  timeout,
  timer,
  up,
  xttRefused,
} from '../agent/lifecycle/table.ts';
import { FRESH, KNOWN, makeFleet, PROVISIONED } from './fleet.ts';
import { seeded } from './random.ts';

const EVENTS: readonly Event[] = [
  timer,
  up,
  renew,
  PROVISIONED,
  failed(network),
  failed(timeout),
  failed(xttRefused),
  retryAfter(30),
  { ...retryAfter(30), elsewhere: true } as Event,
  { kind: 'verdict', verdict: { kind: 'unknown' } },
  { kind: 'not-renewed', failure: xttRefused },
  { kind: 'moved' },
];

/** What a fleet keeps of a situation: the message of a trouble is only for people. */
function kept(situation: Situation): unknown {
  if (!('trouble' in situation) || situation.trouble === undefined) return situation;
  const { message: _, ...trouble } = situation.trouble;
  return { ...situation, trouble };
}

describe('a fleet', () => {
  test.each([['known', KNOWN] as const, ['fresh', FRESH] as const])(
    'lives as the lifecycle does, whatever happens (%s)',
    (_, prepared) => {
      const chance = seeded(7);
      const fleet = makeFleet(3);
      const kinds = new Set<string>();
      let ms = 1_000;
      let alone = step(step(STOPPED, { kind: 'start' }, { ms, random: 0 }).situation, prepared, {
        ms,
        random: 0,
      });
      expect(fleet.begin(1, prepared, { ms, random: 0 })).toEqual(alone.actions);
      for (let i = 0; i < 20_000; i++) {
        ms += Math.floor(chance() * 100_000);
        const event = EVENTS[Math.floor(chance() * EVENTS.length)]!;
        const now = { ms, random: chance(), longestMs: chance() < 0.5 ? 60_000 : undefined };
        alone = step(alone.situation, event, now);
        const actions = fleet.dispatch(1, event, now);
        const told = (each: { kind: string }): boolean => each.kind !== 'log';
        expect(actions.filter(told)).toEqual(alone.actions.filter(told));
        expect(kept(fleet.situation(1))).toEqual(kept(alone.situation));
        expect(fleet.isOnline(1)).toBe(alone.situation.kind === 'online');
        kinds.add(alone.situation.kind);
      }
      expect([...kinds].sort()).toEqual(['backing-off', 'connecting', 'online', 'provisioning']);
      expect(fleet.situation(0)).toEqual(STOPPED);
      expect(fleet.census().get('stopped')).toBe(2);
    },
  );

  test('refuses a situation that it cannot keep', () => {
    const fleet = makeFleet(1);
    fleet.begin(0, KNOWN, { ms: 1, random: 0 });
    expect(() => fleet.dispatch(0, { kind: 'left', told: true }, { ms: 2, random: 0 })).toThrow('erasing');
    const evicted: Event = { kind: 'verdict', verdict: { kind: 'evicted' } };
    expect(() => fleet.dispatch(0, evicted, { ms: 2, random: 0 })).toThrow('evicted');
  });
});

test('numbers of chance are the same for the same seed, and spread evenly', () => {
  const [one, other, third] = [seeded(1), seeded(1), seeded(2)];
  const values = Array.from({ length: 10_000 }, () => one());
  expect(values.slice(0, 100)).toEqual(Array.from({ length: 100 }, () => other()));
  expect(values[0]).not.toBe(third());
  expect(values.every((value) => value >= 0 && value < 1)).toBe(true);
  for (const part of [0, 1, 2, 3])
    expect(values.filter((value) => Math.floor(4 * value) === part).length).toBeGreaterThan(2_300);
});
