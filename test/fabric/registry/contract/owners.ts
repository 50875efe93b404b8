import { describe, expect, test } from 'vitest';
import { DEFAULT_OWNER, EVERYTHING, HOST, scopeOf } from '../../../../fabric/access/scope.ts';
import type { OwnedRegistry } from '../../../../fabric/registry/registry.ts';
import { toHex } from '../../../../protocol/bytes.ts';
import { formatPrefix, parsePrefix } from '../../../../protocol/ipv6.ts';
import { allOf, anyGroup, NETWORK, random, type WholeRegistry } from '../../place.ts';
import { applicant, type OpenEmpty } from './place.ts';

const LENT = parsePrefix('fd00:9::/48');
const LENT_NETWORK = parsePrefix('fd00:9:0:1::/64');
const refused = (code: string) => ({ code });

interface Two {
  readonly registry: WholeRegistry;
  /** Of the first owner, which is one of two. */
  readonly first: OwnedRegistry;
  readonly acme: OwnedRegistry;
}

/** Several owners of one registry. */
export function ownersContract(openEmpty: OpenEmpty): void {
  async function two(): Promise<Two> {
    const registry = await (await openEmpty())({ now: () => 1_000 });
    const { id } = await registry.addOwner('root', 'acme');
    await registry.lendPrefix('root', 'acme', LENT);
    return {
      registry,
      first: registry.of(scopeOf(DEFAULT_OWNER, false)),
      acme: registry.of(scopeOf(id, false)),
    };
  }

  describe('owners', () => {
    test('are one at first, and have names of their own', async () => {
      const registry = await (await openEmpty())({ now: () => 1_000 });
      expect(await registry.hasOneOwner()).toBe(true);
      expect(await allOf((page) => registry.owners(page))).toMatchObject([
        { id: DEFAULT_OWNER, name: 'default', status: 'active', networks: 0, spaces: [] },
      ]);
      const acme = await registry.addOwner('root', 'acme');
      expect(acme).toEqual({
        id: 2,
        name: 'acme',
        status: 'active',
        created: 1_000,
        networks: 0,
        spaces: [],
      });
      expect(await registry.hasOneOwner()).toBe(false);
      await expect(registry.addOwner('root', 'acme')).rejects.toMatchObject(refused('fabric.owner-exists'));
      await expect(registry.renameOwner('root', 'acme', 'default')).rejects.toMatchObject(
        refused('fabric.owner-exists'),
      );
      expect(await registry.renameOwner('root', 'acme', 'umbra')).toMatchObject({ id: 2, name: 'umbra' });
      await expect(registry.ownerNamed('acme')).rejects.toMatchObject(refused('fabric.unknown-owner'));
      const { rows } = await registry.audit({ limit: 9 });
      expect(rows.map(({ actor, action, subject }) => `${actor} ${action} ${subject}`).slice(0, 2)).toEqual([
        'root owner.rename owner 2',
        'root owner.add owner 2',
      ]);
      // What the host does with owners is nobody else's to read.
      expect((await registry.of(scopeOf(2, false)).audit({ limit: 9 })).rows).toEqual([]);
    });

    test('add networks in what is lent to them, and nowhere else', async () => {
      const { registry, first, acme } = await two();
      const added = await acme.addNetwork('anna', LENT_NETWORK, 'plant');
      expect(added).toEqual({
        prefix: LENT_NETWORK,
        ...{ name: 'plant', owner: 'acme', residentOnly: false, created: 1_000 },
      });
      for (const [owner, prefix] of [
        [acme, 'fd00:8::/64'],
        [first, 'fd00:9:0:2::/64'],
        [first, 'fd00:9:0:1::/64'],
      ] as const)
        await expect(owner.addNetwork('x', parsePrefix(prefix), '')).rejects.toMatchObject(
          refused('fabric.prefix-not-lent'),
        );
      await expect(acme.addNetwork('x', parsePrefix('fd00:8::/64'), '')).rejects.toMatchObject({
        action: expect.stringContaining(formatPrefix(LENT)),
      });
      expect(await acme.lent()).toEqual({ spaces: [LENT], anywhere: false });
      expect(await first.lent()).toEqual({ spaces: [], anywhere: true });
      await first.addNetwork('bob', NETWORK, 'plant');
      await registry.lendPrefix('root', 'default', parsePrefix('fd00:7::/48'));
      await expect(first.addNetwork('bob', parsePrefix('fd00:6::/64'), '')).rejects.toMatchObject(
        refused('fabric.prefix-not-lent'),
      );
      for (const prefix of ['fd00:9::/48', 'fd00:9:0:1::/64', 'fd00:8::/31', 'fd00:1:2::/48'])
        await expect(registry.lendPrefix('root', 'acme', parsePrefix(prefix)), prefix).rejects.toMatchObject(
          refused('fabric.prefix-in-use'),
        );
      await expect(registry.takeBackPrefix('root', 'acme', LENT)).rejects.toMatchObject(
        refused('fabric.prefix-in-use'),
      );
      await expect(registry.takeBackPrefix('root', 'acme', NETWORK)).rejects.toMatchObject(
        refused('fabric.prefix-not-lent'),
      );
      await acme.removeNetwork('anna', LENT_NETWORK);
      expect((await registry.takeBackPrefix('root', 'acme', LENT)).spaces.map(formatPrefix)).toEqual([]);
      expect(await acme.lent()).toEqual({ spaces: [], anywhere: false });
    });

    test('see their own alone, and by the same names', async () => {
      const { registry, first, acme } = await two();
      await acme.addNetwork('anna', LENT_NETWORK, 'plant');
      await first.addNetwork('bob', NETWORK, 'plant');
      const own = await acme.addGroup('anna', { ...anyGroup('batch'), network: LENT_NETWORK });
      const others = await first.addGroup('bob', anyGroup('batch'));
      const chip = await registry.admit(applicant(own));
      const other = await registry.admit(applicant(others));
      await acme.nameDevice('anna', chip, { name: 'gateway' });
      await first.nameDevice('bob', other, { name: 'gateway' });
      for (const [one, address, gid] of [
        [acme, chip, own.gid],
        [first, other, others.gid],
      ] as const) {
        expect(await one.deviceNamed('gateway')).toEqual(address);
        expect((await one.group('batch')).gid).toEqual(gid);
        expect(await one.network('plant')).toEqual((await one.device(address)).network);
        expect((await one.devices({ limit: 9 })).rows.map((row) => row.address)).toEqual([address]);
        expect((await one.handshakes({ limit: 9 })).rows.map((row) => row.address)).toEqual([address]);
        expect(await one.census()).toMatchObject({ networks: 1, groups: 1, devices: 1 });
        expect((await one.audit({ limit: 50 })).rows.length).toBe(4);
        expect((await one.audit({ limit: 50 })).rows.every(({ hash }) => hash === undefined)).toBe(true);
      }
      await expect(acme.device(other)).rejects.toMatchObject(refused('fabric.unknown-device'));
      const foreign = await first.device(other);
      registry.clones(other, ['192.0.2.1', '192.0.2.2']);
      await registry.refused({ source: 'x', proven: false, result: 'net.timeout' }, 2);
      expect((await first.groupNumbers(others.gid)).devices).toBe(1);
      expect(await acme.groupNumbers(others.gid)).toMatchObject({ devices: 0, banned: 0, connected: 0 });
      expect(await first.arrivals(others.gid)).toHaveLength(1);
      expect(await acme.arrivals(others.gid)).toEqual([]);
      expect(await first.clonesOf(other)).toBeDefined();
      expect(await acme.clonesOf(other)).toBeUndefined();
      expect(await acme.handshakeCounts(foreign)).toEqual([]);
      // What proves nothing is nobody's.
      expect(await acme.handshakeCounts()).toEqual([]);
      expect(await registry.handshakeCounts()).toHaveLength(1);
      expect((await acme.handshakes({ limit: 9 }, { device: foreign })).rows).toEqual([]);
      await expect(acme.setStanding('anna', other, 'ban')).rejects.toMatchObject(
        refused('fabric.unknown-device'),
      );
      await expect(registry.deviceNamed('gateway')).rejects.toMatchObject(refused('fabric.ambiguous-device'));
      await expect(registry.group('batch')).rejects.toMatchObject(refused('fabric.ambiguous-group'));
      expect((await registry.of(EVERYTHING).census()).devices).toBe(2);
    });

    test('find no more of a search than their own, however many others have', async () => {
      const { registry, first, acme } = await two();
      await acme.addNetwork('anna', LENT_NETWORK, 'plant');
      await first.addNetwork('bob', NETWORK, 'plant');
      const own = await acme.addGroup('anna', { ...anyGroup('batch'), network: LENT_NETWORK });
      const others = await first.addGroup('bob', anyGroup('batch'));
      for (let n = 0; n < 5; n++) await registry.admit(applicant(others));
      // More groups than a search looks into, older than the own one.
      for (let n = 0; n < 12; n++)
        await first.addGroup('bob', { ...anyGroup(`batch ${n}`), gid: random(32).fill(0, 0, 4) });
      const chip = await registry.admit(applicant(own));
      for (const search of [
        { text: 'batch' },
        { text: ':' },
        { from: NETWORK.address, to: chip.map(() => 255) },
      ])
        expect((await acme.devices({ limit: 9 }, { search })).rows.map((row) => row.address)).toEqual([chip]);
      expect((await acme.devices({ limit: 9 }, { gid: others.gid })).rows).toEqual([]);
      expect((await first.devices({ limit: 9 }, { network: NETWORK })).rows).toHaveLength(5);
    });

    test('claim a group once: another one is refused without a word of whose it is', async () => {
      const { registry, first, acme } = await two();
      await acme.addNetwork('anna', LENT_NETWORK, 'plant');
      await first.addNetwork('bob', NETWORK, 'plant');
      const batch = anyGroup('batch');
      await acme.addGroup('anna', { ...batch, network: LENT_NETWORK });
      const again = acme.addGroup('anna', { ...batch, network: LENT_NETWORK });
      await expect(again).rejects.toMatchObject(refused('fabric.group-exists'));
      const claim = first.addGroup('bob', batch);
      await expect(claim).rejects.toMatchObject({
        code: 'fabric.group-claimed',
        message: expect.not.stringMatching(/acme|anna|fd00/),
      });
      // The group has no claim secret, or not the one of this label: nobody is told.
      await expect(first.addGroup('bob', { ...batch, claimHash: random(32) })).rejects.toMatchObject({
        action: expect.stringContaining('tell whoever runs the fabric'),
      });
      expect(await registry.newAlarms()).toBe(0);
    });

    test('who hold the label of a group that is another’s raise an alarm with that one and the host', async () => {
      const { registry, first, acme } = await two();
      await acme.addNetwork('anna', LENT_NETWORK, 'plant');
      await first.addNetwork('bob', NETWORK, 'plant');
      const batch = { ...anyGroup('batch'), claimHash: random(32) };
      await acme.addGroup('anna', { ...batch, network: LENT_NETWORK });
      const { claimHash: _, ...unclaimed } = batch;
      for (const wrong of [unclaimed, { ...batch, claimHash: random(32) }])
        await expect(first.addGroup('bob', wrong)).rejects.toMatchObject(refused('fabric.group-claimed'));
      expect(await registry.newAlarms()).toBe(0);
      for (let times = 0; times < 3; times++)
        await expect(first.addGroup('bob', batch)).rejects.toMatchObject({
          code: 'fabric.group-claimed',
          action: expect.stringContaining('have been told'),
        });
      const subject = toHex(batch.gid);
      const ofAcme = (await acme.alarms({ limit: 9 }, true)).rows;
      expect(ofAcme).toMatchObject([{ kind: 'claim.objection', subject, detail: { name: 'batch' } }]);
      expect(JSON.stringify(ofAcme)).not.toMatch(/default|bob/);
      expect(await first.newAlarms()).toBe(0);
      const { rows } = await registry.alarms({ limit: 9 }, true);
      expect(rows).toHaveLength(2);
      expect(rows).toContainEqual(
        expect.objectContaining({ owner: HOST, detail: { name: 'batch', by: 'default' } }),
      );
      // The group is as it was, until its owner gives it up; then both alarms are over, and the other one has it.
      expect((await acme.group(subject)).name).toBe('batch');
      await acme.removeGroup('anna', batch.gid);
      expect(await registry.newAlarms()).toBe(0);
      expect((await first.addGroup('bob', batch)).network).toEqual(NETWORK);
    });

    test('hear of their own alarms alone, and the host of all', async () => {
      const { registry, first, acme } = await two();
      const hooks = await Promise.all(
        [acme, first, registry].map((one) => one.addHook('x', { name: 'x', url: 'https://x', secret: 's' })),
      );
      const { owner } = acme.scope;
      const finding = { kind: 'group.over-announced', owner, subject: 'aa', detail: {} } as const;
      await registry.recordFindings([], [finding, { ...finding, owner: 0, subject: 'bb' }], 0);
      const heard = await Promise.all(
        hooks.map(async ({ id }) => (await registry.deliveries({ limit: 9 }, id)).rows.length),
      );
      expect(heard).toEqual([1, 0, 2]);
      expect((await first.alarms({ limit: 9 }, true)).rows).toEqual([]);
      expect(await acme.newAlarms()).toBe(1);
      const { id } = (await acme.alarms({ limit: 9 }, true)).rows[0]!;
      await expect(first.acknowledgeAlarm('bob', id)).rejects.toMatchObject(refused('fabric.unknown-alarm'));
      await expect(first.removeHook('bob', hooks[0]!.id)).rejects.toMatchObject(
        refused('fabric.unknown-hook'),
      );
      await expect(first.deliveries({ limit: 9 }, hooks[0]!.id)).rejects.toMatchObject(
        refused('fabric.unknown-hook'),
      );
    });

    test('let people in, who may be of several of them', async () => {
      const { registry, first, acme } = await two();
      const enter = async (at: OwnedRegistry, name: string, role: 'owner' | 'operator'): Promise<number> => {
        const hash = random(32);
        await at.addInvite('x', { hash, role, expires: 2_000 });
        return (await registry.acceptInvite(hash, { name, password: 'p' })).id;
      };
      const bob = await enter(first, 'Bob', 'owner');
      const anna = await enter(acme, 'Anna', 'owner');
      const names = async (at: OwnedRegistry): Promise<string[]> =>
        (await at.people({ limit: 9 })).rows.map(({ name }) => name);
      expect([await names(first), await names(acme), await names(registry)]).toEqual([
        ['Bob'],
        ['Anna'],
        ['Bob', 'Anna'],
      ]);
      await expect(acme.person('bob')).rejects.toMatchObject(refused('fabric.unknown-person'));
      await expect(acme.setRole('anna', bob, 'auditor')).rejects.toMatchObject(
        refused('fabric.unknown-person'),
      );
      await expect(acme.removePerson('anna', bob)).rejects.toMatchObject(refused('fabric.unknown-person'));

      expect(await registry.setMembership('root', 'acme', bob, 'auditor')).toBe(true);
      expect(await registry.setMembership('root', 'acme', bob, 'auditor')).toBe(false);
      // Who brought Bob in elsewhere is not told.
      const seen = await acme.person('bob');
      expect(seen).toMatchObject({ role: 'auditor', createdBy: 'root', generation: 2 });
      expect(seen.owners.map(({ name }) => name)).toEqual(['acme']);
      expect((await registry.person(bob)).owners).toHaveLength(2);
      await expect(registry.setRole('root', bob, 'operator')).rejects.toMatchObject(
        refused('fabric.several-owners'),
      );
      await expect(acme.setRole('anna', anna, 'auditor')).rejects.toMatchObject(refused('fabric.last-owner'));
      expect(await acme.setRole('anna', bob, 'owner')).toBe(true);
      expect(await acme.setRole('bob', anna, 'auditor')).toBe(true);
      await expect(first.removePerson('bob', bob)).rejects.toMatchObject(refused('fabric.last-owner'));
      expect(await registry.setMembership('root', 'acme', anna, 'owner')).toBe(true);
      await acme.removePerson('anna', bob);
      expect([await names(first), await names(acme)]).toEqual([['Bob'], ['Anna']]);
      expect((await registry.person(bob)).role).toBe('owner');
    });

    test('end when none of their groups is active; nobody acts for them then', async () => {
      const { registry, acme } = await two();
      await acme.addNetwork('anna', LENT_NETWORK, 'plant');
      const group = await acme.addGroup('anna', { ...anyGroup('batch'), network: LENT_NETWORK });
      const hash = random(32);
      await acme.addToken('anna', { name: 'x', role: 'owner', hash, expires: 2_000 });
      await acme.addInvite('anna', { hash, role: 'owner', expires: 2_000 });
      await expect(registry.closeOwner('root', 'acme')).rejects.toMatchObject(
        refused('fabric.owner-not-idle'),
      );
      await expect(registry.closeOwner('root', 'default')).rejects.toMatchObject(
        refused('fabric.default-owner'),
      );
      await acme.setGroupStatus('anna', group.gid, 'suspended');
      expect(await registry.closeOwner('root', 'acme')).toMatchObject({ name: 'acme', status: 'closed' });
      expect(await registry.useToken(hash)).toBeUndefined();
      expect(await registry.invite(hash)).toBeUndefined();
      expect(await registry.hasOneOwner()).toBe(false);
      const more = acme.addNetwork('anna', parsePrefix('fd00:9:0:2::/64'), '');
      await expect(more).rejects.toMatchObject(refused('fabric.unknown-owner'));
      const resumed = registry.setGroupStatus('root', group.gid, 'active');
      await expect(resumed).rejects.toMatchObject(refused('fabric.unknown-owner'));
      await expect(registry.addOwner('root', 'acme')).rejects.toMatchObject(refused('fabric.owner-exists'));
      expect((await registry.groups({ limit: 9 })).rows).toHaveLength(1);
    });
  });
}
