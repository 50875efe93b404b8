import { describe, expect, test } from 'vitest';
import type { Event } from '../../../agent/lifecycle/situation.ts';
import { Failure } from '../../../protocol/failure.ts';
import {
  disturbed,
  excluded,
  failed,
  kinds,
  known,
  live,
  network,
  networkChange,
  renew,
  start,
  timer,
  up,
  waited,
} from './table.ts';

const ORDER = { within: 60, after: 20, spread: 10 };
const drained = (elsewhere: boolean, order = ORDER): Event => ({ kind: 'drained', order, elsewhere });
const undrained: Event = { kind: 'undrained' };
const notMoved: Event = {
  kind: 'not-moved',
  failure: new Failure('net.timeout', 'retry', 'no answer'),
};
const closed = failed(new Failure('tunnel.closed', 'retry', 'the router closed the connection'));
const ONLINE = [start, known, up];

describe('a device that has another host', () => {
  test('waits some of the time that it has, moves, and is online all the while', () => {
    const told = live([...ONLINE, drained(true)], 0.5);
    expect(told.situation.kind).toBe('online');
    expect(waited(told.actions)).toBe(24_000);
    for (const random of [0, 0.999999]) {
      const ms = waited(live([...ONLINE, drained(true)], random).actions);
      expect(ms).toBeGreaterThanOrEqual(0);
      expect(ms).toBeLessThan(60_000);
    }
    const moving = live([...ONLINE, drained(true), timer]);
    expect(moving.situation.kind).toBe('online');
    expect(kinds(moving.actions)).toEqual(['move']);
    const there = live([...ONLINE, drained(true), timer, up]);
    expect(there.situation).toMatchObject({ kind: 'online', sinceMs: 0 });
    expect(there.situation).not.toHaveProperty('drain');
    expect(there.log.at(-1)).toBe('moved to another host');
    expect(kinds(live([...ONLINE, drained(true), timer, up, timer]).actions)).toEqual([]);
  });

  test('does the same of a host that leaves service, too, whatever it hears first of that one', () => {
    const later = drained(true, { ...ORDER, within: 10 });
    const there = live([...ONLINE, drained(true), timer, later, up], 0.5);
    expect(there.situation).toMatchObject({ kind: 'online', drain: { order: { within: 10 }, failures: 0 } });
    expect(there.log.slice(-2)).toEqual([
      'moved to another host',
      'the router leaves service: to another host in 4.0 s',
    ]);
    expect(waited(there.actions)).toBe(4_000);
    expect(kinds(live([...ONLINE, drained(true), timer, later, up, timer]).actions)).toEqual(['move']);
    // Before it is there nothing else is begun.
    expect(kinds(live([...ONLINE, drained(true), timer, later]).actions)).toEqual([]);
    const last = live([...ONLINE, drained(true), timer, drained(false), up, closed], 0);
    expect(waited(last.actions)).toBe(20_000);
    const stayed = live([...ONLINE, drained(true), timer, drained(false), notMoved, closed], 0);
    expect(stayed.situation).toMatchObject({ kind: 'backing-off', trouble: { code: 'fabric.drained' } });
  });

  test('tries again if that fails, and less and less often', () => {
    const again = live([...ONLINE, drained(true), timer, notMoved], 0.5);
    expect(again.situation.kind).toBe('online');
    expect(waited(again.actions)).toBe(500);
    const third = [timer, notMoved, timer, notMoved, timer, notMoved];
    expect(waited(live([...ONLINE, drained(true), ...third], 0.5).actions)).toBe(2_000);
    expect(kinds(live([...ONLINE, drained(true), timer, notMoved, timer]).actions)).toEqual(['move']);
  });

  test('goes to the other one at once when the tunnel ends before', () => {
    const life = live([...ONLINE, drained(true), closed], 0.5);
    expect(life.situation).toMatchObject({ kind: 'backing-off', trouble: { code: 'tunnel.closed' } });
    expect(waited(life.actions)).toBe(500);
  });
});

describe('a device that has no other host', () => {
  test('stays, and comes back when it was told to', () => {
    const told = live([...ONLINE, drained(false)]);
    expect(told.situation.kind).toBe('online');
    expect(kinds(told.actions)).toEqual([]);
    expect(kinds(live([...ONLINE, drained(false), timer]).actions)).toEqual([]);
    for (const [random, ms] of [
      [0, 20_000],
      [0.5, 25_000],
    ] as const) {
      const life = live([...ONLINE, drained(false), closed], random);
      expect(life.situation).toMatchObject({ kind: 'backing-off', trouble: { code: 'fabric.drained' } });
      expect(waited(life.actions)).toBe(ms);
      expect(kinds(live([...ONLINE, drained(false), closed, timer], random).actions)).toEqual(['connect']);
    }
  });

  test('does not come earlier because its network or its clock has changed, and as ever if the fabric is not back', () => {
    for (const event of [disturbed, networkChange])
      expect(kinds(live([...ONLINE, drained(false), closed, event]).actions)).toEqual([]);
    const life = live([...ONLINE, drained(false), closed, timer, failed(network)], 0.5);
    expect(life.situation).toMatchObject({ kind: 'backing-off', trouble: { code: 'net.unreachable' } });
    expect(waited(life.actions)).toBe(500);
  });
});

describe('a drain', () => {
  test('that ends is forgotten', () => {
    for (const elsewhere of [true, false]) {
      const life = live([...ONLINE, drained(elsewhere), undrained]);
      expect(life.log.at(-1)).toBe('the router stays in service');
      expect(kinds(live([...ONLINE, drained(elsewhere), undrained, timer]).actions)).toEqual([]);
      expect(live([...ONLINE, drained(elsewhere), undrained, closed]).situation).toMatchObject({
        trouble: { code: 'tunnel.closed' },
      });
    }
    expect(live([...ONLINE, undrained]).actions).toEqual([]);
  });

  test('is repeated with other times', () => {
    const life = live([...ONLINE, drained(false), drained(false, { ...ORDER, after: 100 }), closed], 0);
    expect(waited(life.actions)).toBe(100_000);
  });

  test('does not matter to who is not online, nor to a verdict', () => {
    for (const events of [[], [start], [start, known], [start, known, failed(network)]])
      for (const event of [drained(true), undrained, notMoved])
        expect(live([...events, event]).actions).toEqual([]);
    const life = live([...ONLINE, drained(false), excluded('banned', 40)]);
    expect(life.situation).toMatchObject({ kind: 'blocked', trouble: { code: 'fabric.banned' } });
  });

  test('and a renewal do not hinder each other', () => {
    const life = live([...ONLINE, renew, drained(true), timer]);
    expect(kinds(life.actions)).toEqual(['move']);
    expect(live([...ONLINE, renew, drained(true), timer, up]).situation).toMatchObject({
      kind: 'online',
      renewingSinceMs: 0,
    });
  });
});
