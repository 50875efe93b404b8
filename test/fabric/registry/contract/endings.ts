import { describe, expect, test } from 'vitest';
import { absenceSeconds, longestAbsence } from '../../../../fabric/registry/admission.ts';
import type { Change, StandingChange } from '../../../../fabric/registry/records.ts';
import type { Registry } from '../../../../fabric/registry/registry.ts';
import { toHex } from '../../../../protocol/bytes.ts';
import { formatIpv6, parsePrefix } from '../../../../protocol/ipv6.ts';
import { allOf, anyGroup, NETWORK, random } from '../../place.ts';
import { applicant, type OpenEmpty, withGroup } from './place.ts';

const OTHER_NETWORK = parsePrefix('fd00:77::/64');

/** What an owner ends for good. */
export function endingsContract(openEmpty: OpenEmpty): void {
  const heard = (registry: Registry): Change[] => {
    const changes: Change[] = [];
    registry.subscribe((change) => changes.push(change));
    return changes;
  };
  const fails = (work: Promise<unknown>, code: string) => expect(work).rejects.toMatchObject({ code });

  describe('what is empty', () => {
    test('a group without devices and a network without groups go, in this order', async () => {
      const { registry, group } = await withGroup(openEmpty);
      await fails(registry.removeNetwork('owner', NETWORK), 'fabric.network-not-empty');
      await registry.openGroup(group.gid);
      const changes = heard(registry);
      await registry.removeGroup('owner', group.gid);
      await registry.removeNetwork('owner', NETWORK);
      await registry.catchUp();
      expect(changes.map(({ kind }) => kind)).toEqual(['group', 'network']);
      expect(await allOf((page) => registry.groups(page))).toEqual([]);
      expect(await allOf((page) => registry.networks(page))).toEqual([]);
      expect(registry.hasNetwork(NETWORK.address)).toBe(false);
      await fails(registry.openGroup(group.gid), 'fabric.group-not-admitted');
      await fails(registry.removeGroup('owner', group.gid), 'fabric.unknown-group');
      await fails(registry.removeNetwork('owner', NETWORK), 'fabric.unknown-network');
      const { rows } = await registry.audit({ limit: 2 });
      expect(rows.map(({ action }) => action)).toEqual(['network.remove', 'group.remove']);
      await registry.addNetwork('owner', NETWORK, 'again');
      await registry.addGroup('owner', group);
      expect((await registry.census()).groups).toBe(1);
    });

    test('a group with devices stays, also when all of them are retired', async () => {
      const { registry, group } = await withGroup(openEmpty);
      const address = await registry.admit(applicant(group));
      await fails(registry.removeGroup('owner', group.gid), 'fabric.group-not-empty');
      await registry.retireDevice('owner', address);
      await fails(registry.removeGroup('owner', group.gid), 'fabric.group-not-empty');
    });
  });

  describe('a device that is retired', () => {
    test('is never admitted again, and nobody gets its address; its name is free', async () => {
      const { registry, group } = await withGroup(openEmpty);
      const chip = applicant(group);
      const [address, other] = [await registry.admit(chip), await registry.admit(applicant(group))];
      await registry.nameDevice('owner', address, { name: 'pump', note: 'behind the door' });
      await registry.setStanding('owner', address, 'ban');
      expect(await registry.retireDevice('owner', address)).toBe(true);
      expect(await registry.retireDevice('owner', address)).toBe(false);
      expect(registry.lookup(address)?.standing).toBe('retired');
      await fails(registry.admit(chip), 'fabric.device-retired');
      for (const change of ['evict', 'ban', 'unban'] as const)
        await fails(registry.setStanding('owner', address, change), 'fabric.device-retired');
      await registry.nameDevice('owner', other, { name: 'pump' });
      expect(await registry.device(address)).toMatchObject({ standing: 'retired', note: 'behind the door' });
      expect(await registry.census()).toMatchObject({ devices: 2, banned: 0, retired: 1 });
      const listed = await registry.devices({ limit: 9 }, { standing: 'retired' });
      expect(listed.rows.map((row) => toHex(row.address))).toEqual([toHex(address)]);
      expect(
        (await registry.devices({ limit: 9 }, { standing: 'active' })).rows.map((row) => toHex(row.address)),
      ).toEqual([toHex(other)]);
      await fails(registry.retireDevice('owner', random(16)), 'fabric.unknown-device');
    });
  });

  describe('a device that leaves by itself', () => {
    test('is retired when that resolves; the trail says that it asked', async () => {
      const { registry, group } = await withGroup(openEmpty);
      const chip = applicant(group);
      const address = await registry.admit(chip);
      await registry.nameDevice('owner', address, { name: 'pump' });
      const changes = heard(registry);
      await registry.decommission(address);
      expect(registry.lookup(address)?.standing).toBe('retired');
      await registry.catchUp();
      expect(changes).toEqual([{ kind: 'device', address }]);
      await fails(registry.admit({ ...chip, longtermKey: random(65) }), 'fabric.device-retired');
      await registry.decommission(address);
      const { rows } = await registry.audit({ limit: 9 }, formatIpv6(address));
      expect(rows.map(({ actor, action, detail }) => [actor, action, detail.asked])).toEqual([
        ['fabric', 'device.retire', 'device'],
        ['owner', 'device.name', undefined],
        ['fabric', 'device.admit', undefined],
      ]);
      await registry.verifyAudit();
    });
  });

  test('devices that are banned and evicted are in both numbers, and the numbers of a group add up', async () => {
    const { registry, group } = await withGroup(openEmpty);
    const second = await registry.addGroup('owner', anyGroup('second'));
    const chips = [group, group, group, group, second].map((each) => applicant(each));
    const addresses: Uint8Array[] = [];
    for (const chip of chips) addresses.push(await registry.admit(chip));
    const [banned, both, evicted, , other] = addresses as [
      Uint8Array,
      Uint8Array,
      Uint8Array,
      Uint8Array,
      Uint8Array,
    ];
    const set = (address: Uint8Array, ...changes: StandingChange[]) =>
      changes.reduce<Promise<unknown>>(
        (done, change) => done.then(() => registry.setStanding('owner', address, change)),
        Promise.resolve(),
      );
    const counts = async () => {
      const page = await registry.groups({ limit: 9 });
      const sums = await registry.census();
      for (const { gid, ...row } of page.rows) {
        const { connected: _, ...numbers } = await registry.groupNumbers(gid);
        expect(row).toMatchObject(numbers);
        expect(row.active + row.banned + row.evicted - row.bannedAndEvicted + row.retired).toBe(row.devices);
      }
      expect(page.rows.reduce((sum, row) => sum + row.evicted, 0)).toBe(sums.evicted);
      return sums;
    };
    await set(banned, 'ban');
    await set(both, 'ban', 'evict');
    await set(evicted, 'evict');
    const all = { devices: 5, active: 2, banned: 2, evicted: 2, bannedAndEvicted: 1, retired: 0 };
    expect(await counts()).toMatchObject(all);
    await set(both, 'unban');
    expect(await counts()).toMatchObject({ ...all, banned: 1, bannedAndEvicted: 0 });
    await set(both, 'ban');
    expect(await counts()).toMatchObject(all);
    await registry.retireDevice('owner', both);
    const retired = { devices: 5, active: 2, banned: 1, evicted: 1, bannedAndEvicted: 0, retired: 1 };
    expect(await counts()).toMatchObject(retired);
    await registry.admit(chips[2]!);
    expect(await counts()).toMatchObject({ ...retired, active: 3, evicted: 0 });
    // One that is evicted takes over an address of another group: nothing of that stays counted.
    await set(other, 'evict');
    await set(banned, 'evict');
    expect(await counts()).toMatchObject({ ...retired, active: 2, evicted: 2, bannedAndEvicted: 1 });
    await registry.replaceDevice('owner', banned, other);
    expect(await counts()).toMatchObject({
      ...{ devices: 5, active: 3, banned: 0, evicted: 0, bannedAndEvicted: 0, retired: 2 },
    });
  });

  describe('a device that is replaced', () => {
    async function pair() {
      const { registry, group } = await withGroup(openEmpty);
      const second = await registry.addGroup('owner', anyGroup('second'));
      const [oldChip, newChip] = [applicant(group), applicant(second)];
      const [old, fresh] = [await registry.admit(oldChip), await registry.admit(newChip)];
      await registry.nameDevice('owner', old, { name: 'pump', note: 'behind the door' });
      return { registry, group, second, oldChip, newChip, old, fresh };
    }

    test('gives its address, name and note to the chip of another group', async () => {
      const { registry, group, second, oldChip, newChip, old, fresh } = await pair();
      registry.connected(old, '192.0.2.1:1');
      registry.connected(fresh, '192.0.2.2:1');
      // Tunnels are written by and by, by whoever has them.
      await expect.poll(() => registry.census(), { timeout: 30_000 }).toMatchObject({ connected: 2 });
      await registry.setStanding('owner', old, 'ban');
      const changes = heard(registry);
      await registry.replaceDevice('owner', old, fresh);
      await registry.catchUp();
      expect(changes.map((change) => change.kind === 'device' && toHex(change.address)).sort()).toEqual(
        [toHex(old), toHex(fresh)].sort(),
      );
      // With its former identity it is told to come again, and so it does.
      expect(registry.lookup(fresh)).toMatchObject({
        standing: 'evicted',
        longtermKey: newChip.longtermKey,
      });
      const longtermKey = random(65);
      expect(toHex(await registry.admit({ ...newChip, longtermKey }))).toBe(toHex(old));
      expect(registry.lookup(old)).toMatchObject({ standing: 'active', longtermKey, gid: second.gid });
      expect(await registry.device(old)).toMatchObject({
        name: 'pump',
        note: 'behind the door',
        standing: 'active',
        groupName: 'second',
      });
      expect(await registry.device(fresh)).toMatchObject({ standing: 'retired', movedTo: old });
      await fails(registry.admit(oldChip), 'fabric.device-retired');
      const none = { banned: 0, evicted: 0, bannedAndEvicted: 0, connected: 0, devices: 1 };
      expect(await registry.groupNumbers(group.gid)).toEqual({ ...none, active: 0, retired: 1 });
      expect(await registry.groupNumbers(second.gid)).toEqual({ ...none, active: 1, retired: 0 });
      expect(await registry.census()).toMatchObject({ devices: 2, banned: 0, retired: 1, connected: 0 });
      const { rows } = await registry.audit({ limit: 9 }, formatIpv6(old));
      expect(rows.map(({ action }) => action)).toEqual([
        'device.rekey',
        'device.replace',
        'device.ban',
        'device.name',
        'device.admit',
      ]);
    });

    test('may be replaced once more by the next chip', async () => {
      const { registry, second, newChip, old, fresh } = await pair();
      await registry.replaceDevice('owner', old, fresh);
      await registry.admit(newChip);
      const third = applicant(second);
      const thirdAddress = await registry.admit(third);
      await registry.replaceDevice('owner', old, thirdAddress);
      expect(toHex(await registry.admit(third))).toBe(toHex(old));
      await fails(registry.admit(newChip), 'fabric.device-retired');
    });

    test('stays as it was when the other one cannot take its place', async () => {
      const { registry, old, fresh, second } = await pair();
      await registry.addNetwork('owner', OTHER_NETWORK, 'elsewhere');
      const far = await registry.addGroup('owner', { ...anyGroup('far'), network: OTHER_NETWORK });
      const abroad = await registry.admit(applicant(far));
      const retired = await registry.admit(applicant(second));
      await registry.retireDevice('owner', retired);
      const before = await registry.device(old);
      await fails(registry.replaceDevice('owner', old, old), 'fabric.same-device');
      await fails(registry.replaceDevice('owner', old, abroad), 'fabric.other-network');
      await fails(registry.replaceDevice('owner', old, retired), 'fabric.device-retired');
      await fails(registry.replaceDevice('owner', retired, old), 'fabric.device-retired');
      await fails(registry.replaceDevice('owner', old, random(16)), 'fabric.unknown-device');
      await registry.setStanding('owner', fresh, 'ban');
      await fails(registry.replaceDevice('owner', old, fresh), 'fabric.device-banned');
      expect(await registry.device(old)).toEqual(before);
      expect((await registry.verifyAudit()).entries).toBeGreaterThan(5);
    });
  });

  describe('devices that are shut out', () => {
    test('are counted, and ask the less often the more there are', async () => {
      const { registry, group } = await withGroup(openEmpty);
      const second = await registry.addGroup('owner', anyGroup('second'));
      const addresses: Uint8Array[] = [];
      for (let i = 0; i < 3; i++) addresses.push(await registry.admit(applicant(group)));
      await registry.admit(applicant(second));
      expect(registry.excluded()).toBe(0);
      await registry.setStanding('owner', addresses[0]!, 'ban');
      expect(registry.excluded()).toBe(1);
      await registry.setGroupStatus('owner', second.gid, 'suspended');
      expect(registry.excluded()).toBe(2);
      await registry.setGroupStatus('owner', group.gid, 'suspended');
      expect(registry.excluded()).toBe(4);
      await registry.setStanding('owner', addresses[0]!, 'unban');
      await registry.setGroupStatus('owner', group.gid, 'active');
      await registry.setGroupStatus('owner', second.gid, 'active');
      expect(registry.excluded()).toBe(0);
    });

    test('are back within a minute, unless they are more than a processor can answer', () => {
      for (const few of [0, 1, 4_000]) expect([absenceSeconds(few), longestAbsence(few)]).toEqual([40, 60]);
      expect(absenceSeconds(1_000_000)).toBe(10_000);
    });
  });
}
