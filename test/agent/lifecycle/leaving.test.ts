import { describe, expect, test } from 'vitest';
import { advances } from '../../../agent/lifecycle/health.ts';
import type { Event } from '../../../agent/lifecycle/situation.ts';
import { BANNED_MS } from '../../../agent/lifecycle/timing.ts';
import { Failure } from '../../../protocol/failure.ts';
import {
  ADDRESS,
  absent,
  disturbed,
  failed,
  fresh,
  kinds,
  known,
  live,
  moved,
  network,
  networkChange,
  provisioned,
  renew,
  start,
  stop,
  timer,
  up,
  verdict,
  waited,
} from './table.ts';

const left = (told: boolean): Event => ({ kind: 'left', told });
const erased: Event = { kind: 'erased', credential: 'removed' };
const gone: Event = { kind: 'prepared', goal: { kind: 'erase', told: true } };

describe('a device that leaves for good', () => {
  test('the fabric has retired it: all is removed, and nothing brings it back but a start', () => {
    const life = live([start, known, up, left(true)]);
    expect(life.situation).toMatchObject({ kind: 'erasing', goal: { kind: 'erase', told: true } });
    expect(life.actions).toContainEqual({ kind: 'erase', told: true });
    const end = [start, known, up, left(true), erased] as const;
    expect(live(end).situation.kind).toBe('decommissioned');
    for (const event of [
      timer,
      up,
      networkChange,
      disturbed,
      moved,
      renew,
      provisioned,
      failed(network),
      verdict('evicted'),
      start,
    ]) {
      expect(live([...end, event]).situation.kind, event.kind).toBe('decommissioned');
      expect(kinds(live([...end, event]).actions), event.kind).toEqual([]);
    }
    expect(live([...end, stop]).situation.kind).toBe('stopped');
    expect(advances(live(end).situation, 1e9, 1)).toBe(true);
  });

  test('after a start what is left of it is removed, without a connection', () => {
    const life = live([start, gone]);
    expect(kinds(life.actions)).toEqual(['erase']);
    expect(kinds(live([start, gone, erased]).all)).toEqual(['prepare', 'erase']);
  });

  for (const [name, events] of [
    ['opens its keys', [start]],
    ['provisions itself', [start, fresh]],
    ['connects', [start, known]],
    ['waits to connect', [start, known, failed(network)]],
    ['waits for a TPM', [start, failed(absent)]],
    ['is online', [start, known, up]],
  ] as const) {
    test(`without the fabric it goes out of service while it ${name}, and what was under way counts no more`, () => {
      const life = live([...events, left(false)]);
      expect(life.situation).toMatchObject({ kind: 'erasing', goal: { told: false } });
      for (const late of [known, provisioned, up, verdict('evicted')])
        expect(live([...events, left(false), late]).situation.kind).toBe('erasing');
    });
  }

  test('what cannot be removed is tried again, for ever', () => {
    const tries = [start, known, up, left(true), failed(absent)] as const;
    expect(live(tries).situation).toMatchObject({ kind: 'blocked', trouble: { code: 'tpm.absent' } });
    const again = live([...tries, timer]);
    expect([again.situation.kind, kinds(again.actions)]).toEqual(['erasing', ['erase']]);
    expect(live([...tries, left(false)]).situation.kind).toBe('blocked');
    expect(live([...tries, timer, erased]).situation.kind).toBe('decommissioned');
  });

  test('once more, when whoever may has removed the rest', () => {
    const life = live([start, gone, erased, left(false)]);
    expect(life.actions).toContainEqual({ kind: 'erase', told: true });
  });

  test('a refusal is written to the log, and the tunnel stays', () => {
    const failure = new Failure('fabric.decommission-forbidden', 'operator', 'not here');
    const life = live([start, known, up, { kind: 'stays', failure }]);
    expect(life.situation.kind).toBe('online');
    expect(life.log.at(-1)).toBe('fabric.decommission-forbidden: not here');
  });

  for (const [name, events] of [
    ['before the tunnel was up', [start, known]],
    ['while online', [start, known, up]],
  ] as const) {
    test(`retired ${name} though it has not asked: it waits for a person, and asks once a day`, () => {
      const life = live([...events, verdict('retired')]);
      expect(life.situation).toMatchObject({
        kind: 'blocked',
        goal: { kind: 'connect', address: ADDRESS },
        trouble: { code: 'fabric.retired' },
      });
      expect(waited(life.actions)).toBeGreaterThanOrEqual(BANNED_MS);
      expect(kinds(live([...events, verdict('retired'), timer]).actions)).toEqual(['connect']);
    });
  }
});
