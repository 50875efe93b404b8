import { describe, expect, test } from 'vitest';
import { scopeOf } from '../../../../fabric/access/scope.ts';
import type { Change } from '../../../../fabric/registry/records.ts';
import { toHex } from '../../../../protocol/bytes.ts';
import { matches, parseIpv6, parsePrefix } from '../../../../protocol/ipv6.ts';
import { NETWORK, random } from '../../place.ts';
import { applicant, type OpenEmpty, withGroup } from './place.ts';

/** Devices whose keys their owner has registered. */
export function keysContract(openEmpty: OpenEmpty): void {
  const fails = (work: Promise<unknown>, code: string) => expect(work).rejects.toMatchObject({ code });
  const inside = (end: string): Uint8Array => {
    const address = parseIpv6(`::a:0:0:${end}`);
    address.set(NETWORK.address.subarray(0, 8));
    return address;
  };

  describe('registered keys', () => {
    test('make devices of their own kind, each in the group of its network', async () => {
      const { registry, group } = await withGroup(openEmpty);
      const key = random(65);
      const told: Change[] = [];
      registry.subscribe((change) => void told.push(change));
      const made = await registry.registerKey('alice', { network: NETWORK, key });
      expect(made).toMatchObject({ kind: 'key', longtermKey: key, standing: 'active', network: NETWORK });
      expect(matches(NETWORK, made.address)).toBe(true);
      expect(registry.lookup(made.address)).toMatchObject({ longtermKey: key, standing: 'active' });
      expect(told.map(({ kind }) => kind)).toEqual(expect.arrayContaining(['group', 'device']));
      const another = await registry.registerKey('alice', { network: NETWORK, key: random(65) });
      expect(toHex(another.gid)).toBe(toHex(made.gid));
      await registry.admit(applicant(group));
      const listed = async (kind: 'key' | 'tpm' | 'pki') =>
        (await registry.devices({ limit: 9 }, { kind })).rows.map((each) => each.kind);
      expect([await listed('key'), await listed('tpm'), await listed('pki')]).toEqual([
        ['key', 'key'],
        ['tpm'],
        [],
      ]);
      expect(await registry.groupNumbers(made.gid)).toMatchObject({ devices: 2 });
      const [, entry] = (await registry.audit({ limit: 2 })).rows;
      expect(entry).toMatchObject({ action: 'device.register', actor: 'alice' });
    });

    test('are the same device when they are registered again', async () => {
      const { registry } = await withGroup(openEmpty);
      const key = random(65);
      const first = await registry.registerKey('alice', { network: NETWORK, key });
      const entries = (await registry.audit({ limit: 50 })).rows.length;
      const again = await registry.registerKey('alice', { network: NETWORK, key });
      const named = await registry.registerKey('alice', { network: NETWORK, key, address: first.address });
      expect([again, named].map(({ address }) => toHex(address))).toEqual(
        Array(2).fill(toHex(first.address)),
      );
      expect((await registry.audit({ limit: 50 })).rows).toHaveLength(entries);
    });

    test('replace each other at an address, and end an eviction only so', async () => {
      const { registry } = await withGroup(openEmpty);
      const address = inside('1');
      const [one, two] = [random(65), random(65)];
      await registry.registerKey('alice', { network: NETWORK, key: one, address });
      await registry.setStanding('alice', address, 'evict');
      await fails(
        registry.registerKey('alice', { network: NETWORK, key: one, address }),
        'fabric.device-evicted',
      );
      expect(registry.lookup(address)).toMatchObject({ standing: 'evicted' });
      await registry.registerKey('alice', { network: NETWORK, key: two, address });
      expect(registry.lookup(address)).toMatchObject({ standing: 'active', longtermKey: two });
      expect((await registry.audit({ limit: 1 })).rows[0]).toMatchObject({
        action: 'device.register',
        detail: {
          key: expect.stringMatching(/^[0-9a-f]{64}$/),
          before: expect.stringMatching(/^[0-9a-f]{64}$/),
        },
      });
    });

    test('do not take an address that is another device’s, the host’s, or out of use', async () => {
      const { registry, group } = await withGroup(openEmpty);
      const register = (address: Uint8Array) =>
        registry.registerKey('alice', { network: NETWORK, key: random(65), address });
      const chip = await registry.admit(applicant(group));
      await fails(register(chip), 'fabric.address-taken');
      const host = new Uint8Array(NETWORK.address);
      host[15] = 1;
      await fails(register(host), 'fabric.address-taken');
      const address = inside('2');
      await register(address);
      await registry.setStanding('alice', address, 'ban');
      await fails(register(address), 'fabric.device-banned');
      await registry.retireDevice('alice', address);
      await fails(register(address), 'fabric.device-retired');
      await fails(
        registry.registerKey('alice', { network: parsePrefix('fd00:99::/64'), key: random(65) }),
        'fabric.unknown-network',
      );
    });

    test('are not taken by a network that takes only keys in chips; nothing of that stays', async () => {
      const { registry } = await withGroup(openEmpty);
      const groups = async () => (await registry.groups({ limit: 9 })).rows.length;
      const before = await groups();
      const register = () => registry.registerKey('alice', { network: NETWORK, key: random(65) });
      await registry.setResidentOnly('alice', NETWORK, true);
      await fails(register(), 'fabric.not-resident');
      expect(await groups()).toBe(before);
      await registry.setResidentOnly('alice', NETWORK, false);
      await register();
      expect(await groups()).toBe(before + 1);
    });

    test('are suspended as a group, count against its limit, and no chip comes in by it', async () => {
      const { registry } = await withGroup(openEmpty);
      const { gid, address } = await registry.registerKey('alice', { network: NETWORK, key: random(65) });
      await registry.changeGroup('alice', gid, { most: 1 });
      await fails(registry.registerKey('alice', { network: NETWORK, key: random(65) }), 'fabric.group-full');
      await registry.setGroupStatus('alice', gid, 'suspended');
      expect(registry.lookup(address)).toMatchObject({ standing: 'suspended' });
      await registry.setGroupStatus('alice', gid, 'active');
      await fails(registry.openGroup(gid), 'fabric.group-not-admitted');
      await fails(registry.admit(applicant({ gid })), 'fabric.group-not-admitted');
    });

    test('are those of the owner of the network alone', async () => {
      const { registry } = await withGroup(openEmpty);
      const { id } = await registry.addOwner('root', 'acme');
      const acme = registry.of(scopeOf(id, false));
      await fails(acme.registerKey('anna', { network: NETWORK, key: random(65) }), 'fabric.unknown-network');
      const made = await registry.registerKey('alice', { network: NETWORK, key: random(65) });
      await fails(acme.device(made.address), 'fabric.unknown-device');
    });

    test('belong to no chip that is replaced', async () => {
      const { registry, group } = await withGroup(openEmpty);
      const chip = await registry.admit(applicant(group));
      const { address } = await registry.registerKey('alice', { network: NETWORK, key: random(65) });
      await fails(registry.replaceDevice('alice', chip, address), 'pki.no-chip');
      await fails(registry.replaceDevice('alice', address, chip), 'pki.no-chip');
    });
  });
}
