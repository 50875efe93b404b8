import { describe, expect, test } from 'vitest';
import type { AlarmKind, Finding } from '../../../../fabric/registry/alarms.ts';
import { formatIpv6 } from '../../../../protocol/ipv6.ts';
import type { WholeRegistry as Registry } from '../../place.ts';
import { applicant, type OpenEmpty, withGroup } from './place.ts';

const HOLD_MS = 600_000;
const KIND: AlarmKind = 'disk.full-soon';
const found = (subject: string, detail: object = {}): Finding => ({
  kind: KIND,
  owner: 0,
  subject,
  detail: { ...detail },
});
const iso = (at: number): string => new Date(at).toISOString();
const URL = 'https://hooks.example.org/secret-path';

/** Alarms, and the hooks that hear of them. */
export function alarmsContract(openEmpty: OpenEmpty): void {
  async function opened() {
    let at = 1_000_000;
    const registry = await (await openEmpty())({ now: () => at });
    const open = async () => (await registry.alarms({ limit: 100 }, true)).rows;
    const pass = (ms: number): void => {
      at += ms;
    };
    return { registry, open, pass, now: () => at };
  }
  const events = async (registry: Registry, hook: number): Promise<string[]> =>
    (await registry.deliveries({ limit: 100 }, hook)).rows.map(({ event }) => event).reverse();

  describe('an alarm', () => {
    test('is opened once, renewed while it is found, and ends when it was not for a while', async () => {
      const { registry, open, pass, now } = await opened();
      await registry.recordFindings([KIND], [found('/var', { free: 1 })], HOLD_MS);
      pass(60_000);
      await registry.recordFindings([KIND], [found('/var', { free: 2 })], HOLD_MS);
      expect(await open()).toMatchObject([
        { kind: KIND, subject: '/var', detail: { free: 2 }, opened: 1_000_000, seen: now() },
      ]);
      pass(HOLD_MS - 1);
      await registry.recordFindings([KIND], [], HOLD_MS);
      expect(await open()).toHaveLength(1);
      pass(1);
      await registry.recordFindings(['token.expiring'], [], HOLD_MS);
      expect(await open()).toHaveLength(1);
      await registry.recordFindings([KIND], [], HOLD_MS);
      expect(await open()).toEqual([]);
      const ended = (await registry.alarms({ limit: 9 }, false)).rows;
      expect(ended).toMatchObject([{ subject: '/var', ended: now() }]);
      const { rows } = await registry.audit({ limit: 2 });
      expect(rows.map(({ action }) => action)).toEqual(['alarm.ended', 'alarm.opened']);
      await registry.recordFindings([KIND], [found('/var')], HOLD_MS);
      expect(await open()).toHaveLength(1);
    });

    test('of one kind is open fifty times at most, and comes in pages', async () => {
      const { registry, open } = await opened();
      await registry.recordFindings(
        [KIND],
        Array.from({ length: 60 }, (_, i) => found(`/${i}`)),
        HOLD_MS,
      );
      expect(await open()).toHaveLength(50);
      const first = await registry.alarms({ limit: 30 }, true);
      const rest = await registry.alarms({ limit: 30, after: first.next! }, true);
      expect([first.rows.length, rest.rows.length, rest.next]).toEqual([30, 20, undefined]);
    });

    test('is acknowledged by the first who does, and not new any more', async () => {
      const { registry, open } = await opened();
      await registry.recordFindings([KIND], [found('/var')], HOLD_MS);
      expect(await registry.newAlarms()).toBe(1);
      const [alarm] = await open();
      expect(await registry.acknowledgeAlarm('anna', alarm!.id)).toBe(true);
      expect(await registry.acknowledgeAlarm('bob', alarm!.id)).toBe(false);
      expect(await open()).toMatchObject([{ acknowledged: { by: 'anna' } }]);
      expect(await registry.newAlarms()).toBe(0);
      await expect(registry.acknowledgeAlarm('anna', 99)).rejects.toMatchObject({
        code: 'fabric.unknown-alarm',
      });
    });

    test('of two devices with one key, or in two countries, is told by the trail and ends with an eviction', async () => {
      const places: Record<string, string> = { '192.0.2.1': 'CH', '192.0.2.2': 'NL', '10.0.0.1': 'private' };
      const { registry, group } = await withGroup(openEmpty, { locate: (source) => places[source] });
      const chip = applicant(group, { source: '192.0.2.1' });
      const address = await registry.admit(chip);
      const follow = async (): Promise<void> => {
        while (await registry.followTrail());
      };
      const kinds = async () => (await registry.alarms({ limit: 9 }, true)).rows.map(({ kind }) => kind);
      await registry.admit({ ...chip, source: '10.0.0.1' });
      await follow();
      expect(await kinds()).toEqual([]);
      await registry.admit({ ...chip, source: '192.0.2.2' });
      await registry.admit({ ...chip, source: '192.0.2.1' });
      registry.clones(address, ['192.0.2.1', '192.0.2.2']);
      await registry.catchUp();
      await expect.poll(async () => follow().then(kinds)).toEqual(['device.twins', 'device.two-countries']);
      const { rows } = await registry.alarms({ limit: 9 }, true);
      expect(rows.map(({ subject }) => subject)).toEqual([formatIpv6(address), formatIpv6(address)]);
      await registry.setStanding('owner', address, 'evict');
      await follow();
      expect(await kinds()).toEqual([]);
    });

    test('of a failover says what is lost, by the one who saw the most of it, until somebody acknowledges it', async () => {
      const { registry, open, pass, now } = await opened();
      const { id } = await registry.addHook('anna', { name: 'on-call', url: URL, secret: 's' });
      const failover = async (detail: Record<string, number>) => {
        pass(1_000);
        await registry.record('fabric', 'registry.failover', 'registry', detail);
        while (await registry.followTrail());
      };
      const newest = 1;
      await failover({ seen: 4, newest, timeline: 2 });
      const lost = { missing: 3, seen: 4, newest, since: iso(1_000), until: iso(now()) };
      const alarm = { kind: 'registry.failover', owner: 0, subject: 'timeline 2' };
      expect(await open()).toMatchObject([{ ...alarm, detail: lost }]);
      // Others saw less of it, or more.
      await failover({ seen: 3, newest, timeline: 2 });
      expect(await open()).toMatchObject([{ ...alarm, detail: lost }]);
      await failover({ seen: 5, newest, timeline: 2 });
      expect(await open()).toMatchObject([{ ...alarm, detail: { missing: 4, seen: 5 } }]);
      // Another one is another alarm.
      await failover({ seen: 9, newest: 8, timeline: 3 });
      const [third, second] = await open();
      expect([third, second]).toMatchObject([{ subject: 'timeline 3' }, { subject: 'timeline 2' }]);
      expect(await registry.acknowledgeAlarm('anna', second!.id)).toBe(true);
      expect(await open()).toMatchObject([{ subject: 'timeline 3' }]);
      expect((await registry.alarms({ limit: 9 }, false)).rows).toMatchObject([
        { subject: 'timeline 2', acknowledged: { by: 'anna' }, ended: now() },
      ]);
      expect(await registry.acknowledgeAlarm('bob', second!.id)).toBe(false);
      const opens = ['alarm.opened', 'alarm.opened'];
      expect(await events(registry, id)).toEqual([...opens, 'alarm.acknowledged', 'alarm.ended']);
      // Nobody acknowledges the other one.
      pass(HOLD_MS);
      await registry.recordFindings(['registry.failover'], [], HOLD_MS);
      expect(await open()).toEqual([]);
      expect(await registry.acknowledgeAlarm('anna', third!.id)).toBe(true);
      expect(await events(registry, id)).toHaveLength(6);
    });

    test('is due for groups of which more came than are expected, and for tokens that end', async () => {
      const { registry, group } = await withGroup(openEmpty, { now: () => 5_000 });
      for (let i = 0; i < 3; i++) await registry.admit(applicant(group));
      expect(await registry.overAnnounced()).toEqual([]);
      await registry.changeGroup('owner', group.gid, { announced: 2 });
      expect(await registry.overAnnounced()).toMatchObject([
        { kind: 'group.over-announced', detail: { announced: 2, devices: 3 } },
      ]);
      const token = {
        name: 'ci',
        role: 'auditor',
        hash: new Uint8Array(32).fill(1),
        expires: 9_000,
      } as const;
      const { id } = await registry.addToken('owner', token);
      expect(await registry.tokensEnding(8_999)).toEqual([]);
      expect(await registry.tokensEnding(9_000)).toMatchObject([{ subject: `token ${id}` }]);
      await registry.revokeToken('owner', id);
      expect(await registry.tokensEnding(9_000)).toEqual([]);
    });
  });

  describe('a hook', () => {
    const HOOK = { name: 'on-call', url: URL, secret: 's' };

    test('hears of each alarm that opens, is acknowledged and ends, and of its own end', async () => {
      const { registry, open, pass } = await opened();
      const hook = await registry.addHook('anna', HOOK);
      const other = await registry.addHook('anna', { ...HOOK, name: 'other' });
      await registry.recordFindings([KIND], [found('/var')], HOLD_MS);
      await registry.acknowledgeAlarm('anna', (await open())[0]!.id);
      pass(HOLD_MS);
      await registry.recordFindings([KIND], [], HOLD_MS);
      await registry.testHook('anna', hook.id);
      await registry.removeHook('anna', hook.id);
      const alarms = ['alarm.opened', 'alarm.acknowledged', 'alarm.ended'];
      expect(await events(registry, hook.id)).toEqual([...alarms, 'hook.test', 'hook.removed']);
      expect(await events(registry, other.id)).toEqual([...alarms, 'hook.removed']);
      await registry.recordFindings([KIND], [found('/var')], HOLD_MS);
      expect(await events(registry, hook.id)).toHaveLength(5);
      expect((await registry.hooks()).map(({ id }) => id)).toEqual([other.id]);
      for (const work of [
        () => registry.removeHook('anna', hook.id),
        () => registry.testHook('anna', hook.id),
        () => registry.deliveries({ limit: 1 }, 999),
      ])
        await expect(work()).rejects.toMatchObject({ code: 'fabric.unknown-hook' });
      const { rows } = await registry.audit({ limit: 100 });
      expect(JSON.stringify(rows)).not.toContain('secret-path');
    });

    test('has deliveries that are due until they are sent or given up, and that can be repeated then', async () => {
      const { registry, pass, now } = await opened();
      const { id } = await registry.addHook('anna', HOOK);
      await registry.testHook('anna', id);
      await registry.testHook('anna', id);
      const other = await registry.addHook('anna', HOOK);
      await registry.testHook('anna', other.id);
      const [first, others] = await registry.dueDeliveries(9);
      // One that does not answer holds up its own, and not those of another.
      expect([first!.hook, others!.hook]).toEqual([id, other.id]);
      await registry.recordAttempt(others!.id, { kind: 'sent' });
      expect(first).toMatchObject({ url: URL, secret: 's', attempts: 0, status: 'waiting' });
      await registry.recordAttempt(first!.id, { kind: 'sent' });
      const [second] = await registry.dueDeliveries(9);
      await registry.recordAttempt(second!.id, { kind: 'later', next: now() + 10, error: 'HTTP 500' });
      expect(await registry.dueDeliveries(9)).toEqual([]);
      pass(10);
      expect(await registry.dueDeliveries(9)).toMatchObject([{ id: second!.id, attempts: 1 }]);
      await registry.recordAttempt(second!.id, { kind: 'given-up', error: 'HTTP 500' });
      expect((await registry.deliveries({ limit: 9 }, id)).rows).toMatchObject([
        { id: second!.id, status: 'given-up', attempts: 2, error: 'HTTP 500' },
        { id: first!.id, status: 'sent', attempts: 1 },
      ]);
      await registry.retryDelivery('anna', second!.id);
      expect(await registry.dueDeliveries(9)).toHaveLength(1);
      for (const none of [second!.id, 999])
        await expect(registry.retryDelivery('anna', none)).rejects.toMatchObject({
          code: 'fabric.unknown-delivery',
        });
    });

    test('keeps a bounded number of deliveries, and there is a bounded number of hooks', async () => {
      const { registry } = await opened();
      const { id } = await registry.addHook('anna', HOOK);
      for (let i = 0; i < 210; i++) await registry.testHook('anna', id);
      const waiting = (await registry.deliveries({ limit: 1_000 }, id)).rows.filter(
        ({ status }) => status === 'waiting',
      );
      expect(waiting).toHaveLength(200);
      for (let i = 1; i < 20; i++) await registry.addHook('anna', HOOK);
      await expect(registry.addHook('anna', HOOK)).rejects.toMatchObject({ code: 'fabric.too-many-hooks' });
    });
  });
}
