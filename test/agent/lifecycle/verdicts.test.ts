import { describe, expect, test } from 'vitest';
import type { Event } from '../../../agent/lifecycle/situation.ts';
import { BANNED_MS, LONGEST_RETRY_AFTER_MS, RETRY, STABLE_MS } from '../../../agent/lifecycle/timing.ts';
import {
  ADDRESS,
  excluded,
  failed,
  kinds,
  known,
  live,
  network,
  provisioned,
  retryAfter,
  start,
  timer,
  up,
  verdict,
  waited,
  xttRefused,
} from './table.ts';

describe('verdicts', () => {
  for (const [name, events] of [
    ['before the tunnel was up', [start, known]],
    ['while online', [start, known, up]],
  ] as const) {
    test(`[C-36] evicted ${name}: provisions anew, then connects`, () => {
      const life = live([...events, verdict('evicted')]);
      expect(life.situation).toMatchObject({
        kind: 'backing-off',
        goal: { kind: 'provision', reason: 'evicted', address: ADDRESS },
        trouble: { code: 'fabric.evicted' },
      });
      expect(waited(life.actions)).toBeLessThanOrEqual(RETRY.firstMs);
      const next = live([...events, verdict('evicted'), timer]);
      expect(kinds(next.actions)).toEqual(['provision']);
      expect(live([...events, verdict('evicted'), timer, provisioned, up]).situation.kind).toBe('online');
    });

    test(`[H-C1] unregistered ${name}: proves itself anew, for its own address only, then connects`, () => {
      const told = [...events, verdict('unregistered')];
      const life = live(told);
      expect(life.situation).toMatchObject({
        kind: 'backing-off',
        goal: { kind: 'provision', reason: 'unregistered', address: ADDRESS },
        trouble: { code: 'fabric.unregistered' },
      });
      expect(waited(life.actions)).toBeLessThanOrEqual(RETRY.firstMs);
      expect(live([...told, timer]).actions).toEqual([{ kind: 'provision', address: ADDRESS }]);
      expect(live([...told, timer, provisioned, up]).situation.kind).toBe('online');
      expect(live([...events, verdict('evicted'), timer]).actions).toEqual([{ kind: 'provision' }]);
    });

    test(`[C-36] banned or suspended ${name}: asks as often as it is told, however often it has asked`, () => {
      for (const kind of ['banned', 'suspended'] as const) {
        const rounds = Array(20)
          .fill([excluded(kind, 40), timer])
          .flat();
        for (const random of [0, 0.5, 0.99]) {
          const life = live([...events, ...rounds, excluded(kind, 40)], random);
          expect(life.situation).toMatchObject({ kind: 'blocked', trouble: { code: `fabric.${kind}` } });
          expect(waited(life.actions)).toBeGreaterThanOrEqual(40_000);
          expect(waited(life.actions)).toBeLessThan(60_000);
        }
        const longest = waited(live([...events, excluded(kind, 0xffffffff)], 0).actions);
        expect(longest).toBe(LONGEST_RETRY_AFTER_MS);
      }
    });

    test(`[C-36] suspended ${name} without a time: backs off`, () => {
      const rounds = Array(20)
        .fill([excluded('suspended', 0), timer])
        .flat();
      const pause = waited(live([...events, ...rounds, excluded('suspended', 0)], 0.999).actions);
      expect(pause).toBeGreaterThan(RETRY.capMs * 0.9);
      expect(pause).toBeLessThanOrEqual(RETRY.capMs);
    });

    test(`[C-36] banned ${name} without a time: asks once a day, with the same identity`, () => {
      const life = live([...events, excluded('banned', 0)]);
      expect(life.situation).toMatchObject({ kind: 'blocked', trouble: { code: 'fabric.banned' } });
      expect(waited(life.actions)).toBeGreaterThanOrEqual(BANNED_MS);
      expect(kinds(live([...events, excluded('banned', 0), timer]).actions)).toEqual(['connect']);
    });

    test(`[C-36] unknown ${name}: backs off, up to five minutes, never provisions`, () => {
      const rounds = Array(20)
        .fill([verdict('unknown'), timer])
        .flat();
      const life = live([...events, ...rounds, verdict('unknown')], 0.999);
      expect(life.situation).toMatchObject({ kind: 'backing-off', trouble: { code: 'fabric.unknown-key' } });
      expect(waited(life.actions)).toBeLessThanOrEqual(RETRY.capMs);
      expect(waited(life.actions)).toBeGreaterThan(RETRY.capMs * 0.9);
      expect(kinds(life.all)).not.toContain('provision');
    });

    test(`[C-14] retry-after ${name} is obeyed, and spread`, () => {
      for (const random of [0, 0.5, 0.99]) {
        const pause = waited(live([...events, retryAfter(600)], random).actions);
        expect(pause).toBeGreaterThanOrEqual(600_000);
        expect(pause).toBeLessThanOrEqual(900_000);
      }
      expect(waited(live([...events, retryAfter(0)], 0.5).actions)).toBe(RETRY.firstMs / 2);
      const longest = waited(live([...events, retryAfter(0xffffffff)], 0).actions);
      expect(longest).toBe(LONGEST_RETRY_AFTER_MS);
    });
  }

  describe('retry-after of one host of several', () => {
    const elsewhere = (seconds: number): Event => ({ ...retryAfter(seconds), elsewhere: true }) as Event;

    test('[C-14] is no reason to wait: the next one is asked at once, and a third one soon', () => {
      for (const events of [[start, known] as const, [start, known, up] as const]) {
        const first = live([...events, elsewhere(600)]);
        expect(kinds(first.actions)).toEqual(['connect']);
        expect(first.situation).toMatchObject({
          kind: 'connecting',
          trouble: { code: 'fabric.retry-after' },
        });
        expect(first.log.filter((line) => line.includes('to another host at once'))).toHaveLength(1);
        for (const random of [0, 0.999]) {
          const second = live([...events, elsewhere(600), elsewhere(600)], random);
          expect(kinds(second.actions)).toEqual(['wait']);
          expect(waited(second.actions)).toBeLessThan(RETRY.firstMs);
          expect(second.log).toEqual(first.log);
        }
      }
      expect(live([start, known, elsewhere(600), up]).situation).not.toHaveProperty('trouble');
    });

    test('[C-14] is obeyed if it is that of the last one, or of the third', () => {
      const asked = (...events: Event[]): number => waited(live([start, known, ...events], 0).actions);
      expect(asked(elsewhere(600), retryAfter(600))).toBe(600_000);
      const third = [elsewhere(600), elsewhere(600), timer, elsewhere(600)];
      expect(asked(...third)).toBe(600_000);
      expect(live([start, known, ...third]).situation).toMatchObject({ attempts: { connect: 1 } });
    });

    test('[C-14] is, once all have refused, that of one until there was a tunnel', () => {
      const all = [start, known, elsewhere(30), retryAfter(30), timer];
      expect(waited(live([...all, elsewhere(30)], 0).actions)).toBe(30_000);
      expect(waited(live([...all, elsewhere(30), timer, elsewhere(30)], 0).actions)).toBe(30_000);
      expect(kinds(live([...all, up, elsewhere(30)]).actions)).toEqual(['connect']);
    });

    test('[C-14] is counted beside hosts that are not reached: no more are asked for those', () => {
      const dead = [failed(network), timer] as const;
      const two = [start, known, elsewhere(30), elsewhere(30), timer, ...dead];
      expect(waited(live([...two, elsewhere(30)], 0).actions)).toBe(30_000);
      const waits = [...two, elsewhere(30), timer, ...dead];
      expect(waited(live([...waits, elsewhere(30)], 0).actions)).toBe(30_000);
      expect(kinds(live([...waits, up, elsewhere(30)]).actions)).toEqual(['connect']);
    });

    test('holds for no other verdict', () => {
      const banned = { ...excluded('banned', 60), elsewhere: true } as Event;
      expect(live([start, known, banned]).situation.kind).toBe('blocked');
    });
  });

  test('being evicted again and again slows down', () => {
    const rounds = Array(9)
      .fill([verdict('evicted'), timer, provisioned, up])
      .flat();
    expect(waited(live([start, known, up, ...rounds, verdict('evicted')], 0.999).actions)).toBeGreaterThan(
      250_000,
    );
    const calm = live([start, known, up, ...rounds, [STABLE_MS, verdict('evicted')]], 0.999);
    expect(waited(calm.actions)).toBeLessThan(RETRY.firstMs);
  });

  test('[H-C1] being unregistered again and again slows down', () => {
    const rounds = Array(9)
      .fill([verdict('unregistered'), timer, provisioned, up])
      .flat();
    const life = live([start, known, up, ...rounds, verdict('unregistered')], 0.999);
    expect(waited(life.actions)).toBeGreaterThan(250_000);
  });

  test('[H-C1] [C-36] refused by the identity server the device keeps its identity, and asks the router and it in turn', () => {
    const refused = [start, known, verdict('unregistered'), timer, failed(xttRefused)];
    const life = live(refused);
    expect(life.situation).toMatchObject({
      kind: 'backing-off',
      goal: { kind: 'connect', address: ADDRESS },
      trouble: { code: 'xtt.error-received' },
    });
    expect(kinds(live([...refused, timer]).actions)).toEqual(['connect']);
    expect(live([...refused, timer, up]).situation.kind).toBe('online');
    const rounds = Array(9)
      .fill([timer, verdict('unregistered'), timer, failed(xttRefused)])
      .flat();
    const long = live([...refused, ...rounds], 0.999);
    expect(waited(long.actions)).toBeGreaterThan(250_000);
    expect(waited(long.actions)).toBeLessThanOrEqual(RETRY.capMs);
  });

  test('a failed provisioning after an eviction is tried again', () => {
    const life = live([start, known, verdict('evicted'), timer, failed(network), timer]);
    expect(kinds(life.actions)).toEqual(['provision']);
    expect(life.situation).toMatchObject({ goal: { reason: 'evicted', address: ADDRESS } });
  });
});
