import { describe, expect, test } from 'vitest';
import type { Event } from '../../../agent/lifecycle/situation.ts';
import { Failure } from '../../../protocol/failure.ts';
import {
  ADDRESS,
  failed,
  kinds,
  known,
  live,
  provisioned,
  renew,
  start,
  timer,
  up,
  waited,
} from './table.ts';

const enrolled: Event = { kind: 'enrolled' };
const waits = failed(new Failure('pki.not-enrolled', 'operator', 'no certificate', { action: 'Enroll.' }));

describe('a device that gets its certificate by a code', () => {
  test('waits for a person, and connects at once when it has it', () => {
    const life = live([start, waits]);
    expect(life.situation).toMatchObject({
      kind: 'blocked',
      goal: { kind: 'prepare' },
      trouble: { code: 'pki.not-enrolled', action: 'Enroll.' },
    });
    const next = live([start, waits, enrolled]);
    expect(next.situation).toMatchObject({ kind: 'preparing' });
    expect(next.situation).not.toHaveProperty('trouble');
    expect(kinds(next.actions)).toEqual(['prepare']);
    expect(live([start, waits, enrolled, known]).situation).toMatchObject({
      kind: 'connecting',
      goal: { address: ADDRESS },
    });
  });

  test('whatever is under way is over with another certificate', () => {
    for (const before of [
      [known],
      [known, up],
      [known, up, renew],
      [known, renew],
      [known, up, renew, provisioned],
    ]) {
      const life = live([start, ...before, enrolled]);
      expect([life.situation.kind, kinds(life.actions)]).toEqual(['preparing', ['prepare']]);
    }
    // What has begun to look for it may not have seen it: it looks again within a second.
    const late = Array.from({ length: 20 }, () => [waits, timer]).flat();
    const again = live([start, ...late, enrolled]);
    expect([again.situation.kind, kinds(again.actions)]).toEqual(['preparing', []]);
    expect(waited(live([start, ...late, enrolled, waits]).actions)).toBeLessThan(1_000);
    expect(waited(live([start, ...late, waits]).actions)).toBeGreaterThan(60_000);
    // A renewal that ends later changes nothing.
    expect(live([start, known, up, renew, enrolled, provisioned]).situation.kind).toBe('preparing');
  });

  test('one that goes out of service, or that was stopped, does not come back', () => {
    const left: Event = { kind: 'left', told: false };
    expect(live([start, known, up, left, enrolled]).situation.kind).toBe('erasing');
    const erased: Event = { kind: 'erased', credential: 'removed' };
    expect(live([start, known, left, erased, enrolled]).situation.kind).toBe('decommissioned');
    expect(live([enrolled]).situation.kind).toBe('stopped');
    expect(live([start, waits, timer]).situation.kind).toBe('preparing');
  });
});
