import { describe, expect, test } from 'vitest';
import { scopeOf } from '../../../../fabric/access/scope.ts';
import { parsePool } from '../../../../fabric/registry/delegations.ts';
import type { Change } from '../../../../fabric/registry/records.ts';
import { formatIpv6, formatPrefix, parseIpv6, parsePrefix } from '../../../../protocol/ipv6.ts';
import { allOf, anyGroup, NETWORK, type WholeRegistry } from '../../place.ts';
import { applicant, type OpenEmpty, withGroup } from './place.ts';

const POOL = parsePrefix('fd00:9::/48');

/** Prefixes for what is behind devices. */
export function delegationsContract(openEmpty: OpenEmpty): void {
  const fails = (work: Promise<unknown>, code: string) => expect(work).rejects.toMatchObject({ code });
  const given = (registry: WholeRegistry, address: Uint8Array): string | undefined => {
    const { delegated } = registry.lookup(address)!;
    return delegated === undefined || typeof delegated === 'string' ? delegated : formatPrefix(delegated);
  };
  const grant = (registry: WholeRegistry, address: Uint8Array, granted = true): Promise<boolean> =>
    registry.setGrant('owner', { kind: 'device', address }, granted);
  const rows = async (registry: WholeRegistry): Promise<string[]> =>
    (await allOf((page) => registry.delegations(NETWORK, page))).map(
      ({ prefix, address, inForce }) => `${formatPrefix(prefix)} ${formatIpv6(address)} ${inForce}`,
    );
  const place = async (pool = POOL) => {
    const { registry, group } = await withGroup(openEmpty);
    await registry.setPool('owner', NETWORK, pool);
    const admit = () => registry.admit(applicant(group));
    return { registry, group, admit };
  };

  describe('delegated prefixes', () => {
    test('a device gets the next one of the pool with the grant, and keeps it', async () => {
      const { registry, group, admit } = await place();
      const chip = applicant(group);
      const [address, other] = [await registry.admit(chip), await admit()];
      expect(given(registry, address)).toBe('none');
      expect(await grant(registry, address)).toBe(true);
      expect(await grant(registry, address)).toBe(false);
      expect(await grant(registry, other)).toBe(true);
      expect([given(registry, address), given(registry, other)]).toEqual(['fd00:9::/64', 'fd00:9:0:1::/64']);
      // Through an eviction, a new key and a name.
      await registry.setStanding('owner', address, 'evict');
      await registry.admit({ ...chip, longtermKey: new Uint8Array(65).fill(7) });
      expect(given(registry, address)).toBe('fd00:9::/64');
      // Through a withdrawal, in which nobody else gets it.
      expect(await grant(registry, address, false)).toBe(true);
      expect(given(registry, address)).toBe('none');
      const third = await admit();
      await grant(registry, third);
      expect(given(registry, third)).toBe('fd00:9:0:2::/64');
      await grant(registry, address);
      expect(given(registry, address)).toBe('fd00:9::/64');
      const { rows: page, next } = await registry.delegations(NETWORK, { limit: 2 });
      expect(page.map(({ address }) => formatIpv6(address))).toEqual([address, other].map(formatIpv6));
      expect((await registry.delegations(NETWORK, { limit: 2, after: next })).rows).toHaveLength(1);
      await fails(registry.delegations(NETWORK, { limit: 1, after: 'x' }), 'fabric.bad-cursor');
    });

    test('one by the group is awaited until it is given', async () => {
      const { registry, group, admit } = await place();
      const address = await admit();
      await registry.delegate(address);
      expect(given(registry, address)).toBe('none');
      expect(await registry.setGrant('owner', { kind: 'group', gid: group.gid }, true)).toBe(true);
      expect(await registry.isGroupGranted(group.gid)).toBe(true);
      expect(given(registry, address)).toBe('awaited');
      await registry.delegate(address);
      await registry.delegate(address);
      expect(given(registry, address)).toBe('fd00:9::/64');
      // Who has it by its group and by name loses it with the second one.
      await grant(registry, address);
      await registry.setGrant('owner', { kind: 'group', gid: group.gid }, false);
      expect(given(registry, address)).toBe('fd00:9::/64');
      await grant(registry, address, false);
      expect(given(registry, address)).toBe('none');
      expect(await rows(registry)).toEqual([`fd00:9::/64 ${formatIpv6(address)} false`]);
    });

    test('what is behind a device is found while that is in force', async () => {
      const { registry, admit } = await place();
      const address = await admit();
      const [first, behind] = [parseIpv6('fd00:9::'), parseIpv6('fd00:9::17')];
      expect(await registry.deviceBehind(behind)).toBeUndefined();
      expect(registry.holders([first])).toEqual([undefined]);
      await grant(registry, address);
      expect(await registry.deviceBehind(behind)).toEqual(address);
      const device = registry.lookup(address);
      expect(device).toBeDefined();
      // What is behind it is asked about by the first address, and beside devices.
      expect(registry.holders([behind, first, address, parseIpv6('fd00:9:0:1::')])).toEqual([
        ...[undefined, device, device, undefined],
      ]);
      expect(await registry.deviceBehind(parseIpv6('fd00:9:0:1::17'))).toBeUndefined();
      const other = await registry.addOwner('root', 'other');
      expect(await registry.of(scopeOf(other.id, false)).deviceBehind(behind)).toBeUndefined();
      await grant(registry, address, false);
      expect(await registry.deviceBehind(behind)).toBeUndefined();
      expect(registry.holders([first, address])).toEqual([undefined, registry.lookup(address)]);
    });

    test('a device that is retired has none, and another one may get it; one that takes an address over gets its prefix', async () => {
      const { registry, admit } = await place(parsePrefix('fd00:9::/63'));
      const [one, two, three] = [await admit(), await admit(), await admit()];
      for (const address of [one, two]) await grant(registry, address);
      await fails(grant(registry, three), 'fabric.pool-full');
      expect(given(registry, three)).toBe('none');
      await registry.retireDevice('owner', one);
      expect(given(registry, one)).toBe('none');
      await fails(grant(registry, one), 'fabric.device-retired');
      await grant(registry, three);
      expect(given(registry, three)).toBe('fd00:9::/64');
      const fresh = await admit();
      await registry.replaceDevice('owner', three, fresh);
      expect(given(registry, three)).toBe('fd00:9::/64');
      expect(await rows(registry)).toEqual([
        `fd00:9::/64 ${formatIpv6(three)} true`,
        `fd00:9:0:1::/64 ${formatIpv6(two)} true`,
      ]);
      // A gap in the middle is found, too.
      await registry.retireDevice('owner', two);
      const last = await admit();
      await grant(registry, last);
      expect(given(registry, last)).toBe('fd00:9:0:1::/64');
    });

    test('nothing is granted without a pool, and no pool goes of which something is', async () => {
      const { registry, group } = await withGroup(openEmpty);
      const address = await registry.admit(applicant(group));
      expect(given(registry, address)).toBeUndefined();
      await fails(grant(registry, address), 'fabric.no-pool');
      await fails(registry.setGrant('owner', { kind: 'group', gid: group.gid }, true), 'fabric.no-pool');
      expect(await registry.pool(NETWORK)).toBeUndefined();
      await registry.setPool('owner', NETWORK, POOL);
      expect(await registry.pool(NETWORK)).toEqual(POOL);
      await grant(registry, address);
      for (const pool of [undefined, parsePrefix('fd00:8::/48')])
        await fails(registry.setPool('owner', NETWORK, pool), 'fabric.pool-in-use');
      await grant(registry, address, false);
      await registry.setPool('owner', NETWORK, parsePrefix('fd00:8::/48'));
      expect(await rows(registry)).toEqual([]);
      await grant(registry, address);
      expect(given(registry, address)).toBe('fd00:8::/64');
      await grant(registry, address, false);
      await registry.setPool('owner', NETWORK, undefined);
      // Who was away all the time is told when it comes.
      expect(given(registry, address)).toBe('none');
      expect((await allOf((page) => registry.networks(page)))[0]).not.toHaveProperty('pool');
    });

    test('a pool overlaps no network and no other pool, and a network no pool', async () => {
      const { registry } = await place();
      const other = parsePrefix('fd00:77::/64');
      await registry.addNetwork('owner', other, 'office');
      for (const pool of ['fd00:77::/48', 'fd00:77::/64', 'fd00:1:2::/48', 'fd00:9::/48', 'fd00:9:0:5::/64'])
        await fails(registry.setPool('owner', other, parsePrefix(pool)), 'fabric.prefix-in-use');
      for (const network of ['fd00:9::/64', 'fd00:9:0:ffff::/64'])
        await fails(registry.addNetwork('owner', parsePrefix(network), 'x'), 'fabric.prefix-in-use');
      await registry.addNetwork('owner', parsePrefix('fd00:a::/64'), 'beside it');
      await registry.setPool('owner', other, parsePrefix('fd00:8:0:8000::/49'));
      expect(
        (await allOf((page) => registry.networks(page))).map(({ pool }) => pool && formatPrefix(pool)),
      ).toEqual(['fd00:9::/48', 'fd00:8:0:8000::/49', undefined]);
    });

    test('an owner takes a pool out of what was lent to it, and nobody is lent what is in one', async () => {
      const { registry } = await place();
      const { id } = await registry.addOwner('root', 'acme');
      const lent = parsePrefix('fd00:aa::/40');
      await registry.lendPrefix('root', 'acme', lent);
      const own = registry.of(scopeOf(id, false));
      const network = parsePrefix('fd00:aa:0:1::/64');
      await own.addNetwork('anna', network, 'plant');
      for (const pool of ['fd00:bb::/48', 'fd00:9::/48', 'fd00:1:2::/48'])
        await fails(own.setPool('anna', network, parsePrefix(pool)), 'fabric.prefix-not-lent');
      await own.setPool('anna', network, parsePrefix('fd00:aa:1::/48'));
      await fails(registry.takeBackPrefix('root', 'acme', lent), 'fabric.prefix-in-use');
      // Nor what is nobody's network yet, but a pool of the first owner.
      for (const prefix of ['fd00:9::/40', 'fd00:9::/48', 'fd00:9:0:8000::/56'])
        await fails(registry.lendPrefix('root', 'acme', parsePrefix(prefix)), 'fabric.prefix-in-use');
      await fails(
        registry.of(scopeOf(id, false)).setPool('anna', NETWORK, undefined),
        'fabric.unknown-network',
      );
      expect(await own.pool(NETWORK)).toBeUndefined();
      expect((await own.delegations(NETWORK, { limit: 9 })).rows).toEqual([]);
    });

    test('each change is told and recorded, and what ends takes its own along', async () => {
      const { registry, group, admit } = await place();
      const address = await admit();
      const changes: Change[] = [];
      registry.subscribe((change) => changes.push(change));
      await registry.setGrant('owner', { kind: 'group', gid: group.gid }, true);
      await registry.delegate(address);
      await grant(registry, address);
      await registry.setGrant('owner', { kind: 'group', gid: group.gid }, false);
      await grant(registry, address, false);
      await registry.setPool('owner', NETWORK, undefined);
      await registry.setPool('owner', NETWORK, undefined);
      await registry.catchUp();
      expect(changes.map(({ kind }) => kind)).toEqual([
        'group',
        'device',
        'device',
        'group',
        'device',
        'network',
      ]);
      const { rows: entries } = await registry.audit({ limit: 6 });
      expect(entries.map(({ action, detail }) => `${action} ${detail.prefix ?? detail.pool ?? ''}`)).toEqual([
        'network.pool ',
        'device.withdraw ',
        'group.withdraw ',
        'device.delegate fd00:9::/64',
        'device.delegate fd00:9::/64',
        'group.delegate ',
      ]);
      await registry.setPool('owner', NETWORK, POOL);
      const empty = await registry.addGroup('owner', anyGroup('empty'));
      await registry.setGrant('owner', { kind: 'group', gid: empty.gid }, true);
      await registry.removeGroup('owner', empty.gid);
      await registry.setPool('owner', NETWORK, undefined);
    });

    test('of pools nothing is accepted but 48 to 64 bits of unicast', () => {
      for (const text of ['fd00::/47', 'fd00::/65', 'fe80::/48', 'ff02::/48', '::/48'])
        expect(() => parsePool(text)).toThrow(expect.objectContaining({ code: 'fabric.bad-pool' }));
      for (const text of ['fd00:9::/48', '2001:db8:1:2::/64'])
        expect(formatPrefix(parsePool(text))).toBe(text);
    });
  });
}
