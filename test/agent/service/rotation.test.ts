import { expect, test } from 'vitest';
import { parseConfig } from '../../../agent/config/config.ts';
import { dueAt } from '../../../agent/lifecycle/rotation.ts';
import type { Situation } from '../../../agent/lifecycle/situation.ts';
import { STABLE_MS } from '../../../agent/lifecycle/timing.ts';
import { ageOfKey, keepRotation } from '../../../agent/service/rotation.ts';
import type { HandshakeEnd } from '../../../agent/status/facts.ts';

const ADDRESS = 'fd00::7';
const AFTER = 24 * 3_600_000;
const MADE = Date.parse('2026-03-01T12:00:00.000Z');
const HOUR = 3_600_000;

/** A rotation over clocks that the test moves; `online` since they began. */
function world(startMs = MADE + HOUR, random = 0.5, afterMs: () => number | undefined = () => AFTER) {
  const now = { wall: startMs, steady: 0 };
  const attempts = { prepare: 0, provision: 0, connect: 0, erase: 0 };
  const state = {
    situation: {
      kind: 'online',
      goal: { kind: 'connect', address: ADDRESS },
      attempts,
      sinceMs: 0,
    } as Situation,
    provisioned: new Date(MADE).toISOString() as string | undefined,
    renewals: 0,
    underWay: false,
  };
  let end: (how: HandshakeEnd | undefined) => void = () => {};
  let pending: Promise<HandshakeEnd | undefined> | undefined;
  const rotation = keepRotation({
    afterMs,
    driver: {
      situation: () => state.situation,
      renew: () => {
        if (state.underWay) return false;
        state.underWay = true;
        state.renewals++;
        return true;
      },
      handshakeEnd() {
        pending ??= new Promise((resolve) => {
          end = resolve;
        });
        return pending;
      },
    },
    provisioned: () => state.provisioned,
    wallMs: () => now.wall,
    clock: () => now.steady,
    chance: () => random,
  });
  const pass = (ms: number): void => {
    now.wall += ms;
    now.steady += ms;
  };
  return {
    now,
    state,
    rotation,
    pass,
    /** The minutes of so much time. */
    wait(ms: number): void {
      for (let passed = 0; passed < ms; passed += 60_000) {
        pass(60_000);
        rotation.look();
      }
    },
    async finish(how: HandshakeEnd): Promise<void> {
      state.underWay = false;
      if ('address' in how) state.provisioned = new Date(now.wall).toISOString();
      pending = undefined;
      end(how);
      await Promise.resolve();
    },
  };
}

const due = dueAt({ address: ADDRESS, provisioned: new Date(MADE).toISOString() }, AFTER);
const FAILED = { failure: { code: 'net.unreachable', message: 'nobody' } };

test('the handshake runs when the key is due, once, and again when the next one is', async () => {
  const { state, rotation, wait, finish, now } = world();
  expect(rotation.facts()).toEqual({ next: new Date(due).toISOString() });
  wait(due - now.wall - 60_000);
  expect(state.renewals).toBe(0);
  wait(120_000);
  expect(state.renewals).toBe(1);
  await finish({ address: ADDRESS });
  wait(AFTER * 0.9 - 60_000);
  expect(state.renewals).toBe(1);
  wait(AFTER * 0.1 + 120_000);
  expect(state.renewals).toBe(2);
});

test('only a device that has been online for a while, in a plausible time, tries it', () => {
  const { state, rotation, pass, now } = world(due + 1, 0);
  pass(STABLE_MS - 1);
  rotation.look();
  expect(state.renewals).toBe(0);
  pass(1);
  for (const kind of ['connecting', 'backing-off', 'provisioning', 'decommissioned', 'stopped'] as const) {
    const { situation } = state;
    state.situation = { ...situation, kind } as Situation;
    rotation.look();
    state.situation = situation;
  }
  expect(state.renewals).toBe(0);
  const { wall } = now;
  now.wall = 0;
  rotation.look();
  expect(state.renewals).toBe(0);
  now.wall = wall;
  rotation.look();
  expect(state.renewals).toBe(1);
});

test('a key that is overdue at the start waits for its turn, that of its chance', () => {
  const { state, rotation, wait } = world(due + 30 * AFTER, 0.5);
  wait(STABLE_MS);
  expect(Date.parse(rotation.facts()!.next)).toBe(due + 30 * AFTER + STABLE_MS + HOUR / 2);
  wait(HOUR / 2 - 60_000);
  expect(state.renewals).toBe(0);
  wait(120_000);
  expect(state.renewals).toBe(1);
});

test('a failure is shown, and tried again later and later, an hour and two minutes at most', async () => {
  const { state, rotation, wait, finish } = world(due - 600_000, 0.999);
  wait(660_000);
  for (let failures = 0; failures < 9; failures++) {
    const before = state.renewals;
    await finish(FAILED);
    expect(rotation.facts()!.failure).toEqual(FAILED.failure);
    wait(120_000);
    expect(state.renewals).toBe(before);
    wait(HOUR + 60_000);
    expect(state.renewals).toBe(before + 1);
  }
  await finish({ address: ADDRESS });
  expect(rotation.facts()).not.toHaveProperty('failure');
});

test('a key of unknown age is replaced; without an identity there is nothing to show', () => {
  const { state, rotation, wait } = world(MADE, 0);
  state.provisioned = undefined;
  wait(120_000);
  expect(state.renewals).toBe(1);
  state.situation = { kind: 'stopped' };
  expect(rotation.facts()).toBeUndefined();
});

test('a certificate of an EST server is renewed in any case, a longterm key if that is configured, files of others never', () => {
  const of = (identity: string, facts: Parameters<typeof ageOfKey>[1]) =>
    ageOfKey(parseConfig(`[remote]\nhosts = ["f"]\n[identity]\n${identity}`, 'x'), facts);
  const certificate = {
    ...{ subject: 'CN=a', address: ADDRESS, key: 'file' as const },
    ...{ notBefore: '2026-01-01T00:00:00.000Z', notAfter: '2026-04-01T00:00:00.000Z' },
  };
  const lastHandshake = '2026-02-01T00:00:00.000Z';
  const facts = () => ({ certificate, lastHandshake });
  const files = 'mode = "pki"\ncertificate = "/c"\nkey = "/k"\n';
  expect(of('', facts)).toBeUndefined();
  expect(of(files, facts)).toBeUndefined();
  expect(of(`${files}rotate-after = "24h"`, facts)).toBeUndefined();
  const longterm = of('rotate-after = "24h"', facts)!;
  expect([longterm.afterMs(), longterm.provisioned()]).toEqual([24 * HOUR, lastHandshake]);
  const enrolled = of('mode = "pki"', facts)!;
  expect([enrolled.afterMs(), enrolled.provisioned()]).toEqual([60 * 24 * HOUR, certificate.notBefore]);
  expect(of('mode = "pki"\nrotate-after = "24h"', facts)!.afterMs()).toBe(24 * HOUR);
  const none = of('mode = "pki"', () => ({ lastHandshake: undefined }))!;
  expect([none.afterMs(), none.provisioned()]).toEqual([undefined, undefined]);
});

test('a key of an age that nobody knows yet is not replaced', () => {
  const { state, rotation, wait } = world(due + AFTER, 0, () => undefined);
  wait(STABLE_MS + HOUR);
  expect([state.renewals, rotation.facts()]).toEqual([0, undefined]);
});
