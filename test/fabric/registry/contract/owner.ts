import { describe, expect, test } from 'vitest';
import { parseNetwork } from '../../../../fabric/registry/records.ts';
import { toHex } from '../../../../protocol/bytes.ts';
import { parsePrefix } from '../../../../protocol/ipv6.ts';
import { allOf, anyGroup, random } from '../../place.ts';
import { applicant, type OpenEmpty, withGroup } from './place.ts';

/** What an owner lists and changes. */
export function ownerContract(openEmpty: OpenEmpty): void {
  describe('networks and groups', () => {
    test('a network is a /64 of unicast, and there once', async () => {
      const registry = await (await openEmpty())();
      await registry.addNetwork('owner', parseNetwork('fd00:1::/64'), 'plant');
      expect(await allOf((page) => registry.networks(page))).toMatchObject([
        { name: 'plant', prefix: parsePrefix('fd00:1::/64') },
      ]);
      await expect(registry.addNetwork('owner', parseNetwork('fd00:1::/64'), 'again')).rejects.toMatchObject({
        code: 'fabric.network-exists',
      });
      for (const text of ['fd00::/48', 'fe80::/64', 'ff02::/64', '::/64', 'fd00::/65']) {
        expect(() => parseNetwork(text), text).toThrow(
          expect.objectContaining({ code: 'fabric.bad-network' }),
        );
      }
    });

    test('a group is found by the first digits of its id, as printed', async () => {
      const { registry } = await withGroup(openEmpty);
      const gid = new Uint8Array(32).fill(0xab);
      await registry.addGroup('owner', { ...anyGroup('other'), gid });
      await registry.addGroup('owner', {
        ...anyGroup('third'),
        gid: gid.map((byte, i) => (i === 4 ? 0xcd : byte)),
      });
      expect((await registry.group('ABAB abab ab')).name).toBe('other');
      expect((await registry.group('ababababc')).name).toBe('third');
      await expect(registry.group('abababab')).rejects.toMatchObject({ code: 'fabric.ambiguous-group' });
      await expect(registry.group('ab')).rejects.toMatchObject({ code: 'fabric.unknown-group' });
      await expect(registry.group('xyzw')).rejects.toMatchObject({ code: 'fabric.unknown-group' });
    });

    test('a group needs its network, and is there once', async () => {
      const { registry, group } = await withGroup(openEmpty);
      await expect(registry.addGroup('owner', group)).rejects.toMatchObject({ code: 'fabric.group-exists' });
      await expect(
        registry.addGroup('owner', { ...anyGroup(), network: parsePrefix('fd00:9::/64') }),
      ).rejects.toMatchObject({ code: 'fabric.unknown-network' });
      await registry.admit(applicant(group));
      const other = await registry.addGroup('owner', anyGroup());
      const none = { banned: 0, evicted: 0, bannedAndEvicted: 0, retired: 0 };
      expect(await allOf((page) => registry.groups(page))).toEqual(
        [
          { ...group, ...none, devices: 1, active: 1 },
          { ...other, ...none, devices: 0, active: 0 },
        ].sort((a, b) => a.created - b.created || (toHex(a.gid) < toHex(b.gid) ? -1 : 1)),
      );
    });
  });

  describe('the audit trail', () => {
    test('says who did what, and verifies', async () => {
      const registry = await (await openEmpty())({ now: () => 5_000 });
      await registry.addNetwork('alice', parsePrefix('fd00:98::/64'), 'first');
      await registry.addNetwork('bob', parsePrefix('fd00:99::/64'), 'last');
      const { entries, head } = await registry.verifyAudit();
      expect(entries).toBe(3);
      expect((await registry.audit({ limit: 1 })).rows).toEqual([
        {
          seq: 3,
          at: 5_000,
          actor: 'bob',
          action: 'network.add',
          subject: 'fd00:99::/64',
          detail: { name: 'last' },
          ownerName: 'default',
          hash: head,
        },
      ]);
      expect((await registry.audit({ limit: 9 })).rows.map((each) => each.actor)).toEqual([
        'bob',
        'alice',
        'test',
      ]);
      expect(await registry.verifyAudit({ seq: 3, hash: head })).toEqual({ entries, head });
      for (const expected of [
        { seq: 3, hash: random(32) },
        { seq: 4, hash: head },
      ]) {
        await expect(registry.verifyAudit(expected)).rejects.toMatchObject({ code: 'audit.broken' });
      }
    });

    test('verifies whatever text an actor or a network has', async () => {
      const registry = await (await openEmpty())();
      for (const [n, odd] of ['\ud800', 'a\u0000b', 'é\u0301', '"\\', '\u{1f510}'].entries())
        await registry.addNetwork(odd, parsePrefix(`fd00:98:${n}::/64`), odd);
      expect((await registry.verifyAudit()).entries).toBe(6);
    });

    test('verifies while it grows, and other work goes on meanwhile', async () => {
      const registry = await (await openEmpty())();
      const add = (n: number): Promise<unknown> =>
        registry.addNetwork('owner', parsePrefix(`fd00:${n}::/64`), '');
      await Promise.all(Array.from({ length: 450 }, (_, n) => add(n + 1)));
      const verified = registry.verifyAudit();
      const added = await Promise.all([add(1_000), add(1_001)]);
      expect(added).toHaveLength(2);
      const { entries } = await verified;
      expect(entries).toBeGreaterThanOrEqual(451);
      expect((await registry.verifyAudit()).entries).toBe(453);
    });

    test('changes by several actors at once stand in it each under its own name', async () => {
      const { registry, group } = await withGroup(openEmpty);
      const address = await registry.admit(applicant(group));
      await Promise.all([
        registry.setStanding('alice', address, 'ban'),
        registry.setGroupStatus('bob', group.gid, 'suspended'),
        registry.addNetwork('carol', parsePrefix('fd00:9::/64'), ''),
      ]);
      const { rows } = await registry.audit({ limit: 4 });
      expect(rows.map(({ actor, action }) => `${actor} ${action}`)).toEqual([
        'carol network.add',
        'bob group.suspend',
        'alice device.ban',
        'fabric device.admit',
      ]);
    });
  });
}
