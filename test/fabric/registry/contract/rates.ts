import { describe, expect, test } from 'vitest';
import { scopeOf } from '../../../../fabric/access/scope.ts';
import {
  MOST_RATES,
  type RateLimit,
  type RateParty,
  type Rates,
  ratesOf,
} from '../../../../fabric/registry/rates.ts';
import type { Change } from '../../../../fabric/registry/records.ts';
import { formatIpv6, formatPrefix, parsePrefix } from '../../../../protocol/ipv6.ts';
import { allOf, anyGroup, NETWORK, random, type WholeRegistry } from '../../place.ts';
import { applicant, type OpenEmpty, withGroup } from './place.ts';

const OTHER = parsePrefix('fd00:77::/64');
const ALL: RateParty = { kind: 'any' };
const MAX: RateParty = { kind: 'max' };
const out = (packets: number): Rates => ({ in: {}, out: { packets } });

/** How much devices may send and get. */
export function ratesContract(openEmpty: OpenEmpty): void {
  const fails = (work: Promise<unknown>, code: string) => expect(work).rejects.toMatchObject({ code });
  const limitsOf = (registry: WholeRegistry, network = NETWORK): Promise<RateLimit[]> =>
    allOf((page) => registry.rateLimits(network, page));
  const found = async (registry: WholeRegistry, address: Uint8Array): Promise<Rates> => {
    const device = await registry.device(address);
    return ratesOf(await registry.rateLimitsFor(device), device);
  };

  describe('rate limits', () => {
    test('are kept value by value, those of more devices first', async () => {
      const { registry, group } = await withGroup(openEmpty);
      const address = await registry.admit(applicant(group));
      await registry.nameDevice('owner', address, { name: 'pump' });
      const party = { kind: 'group', gid: group.gid, network: NETWORK } as const;
      await registry.setRateLimit('owner', NETWORK, { kind: 'device', address }, out(0));
      await registry.setRateLimit('owner', NETWORK, party, { in: { bytes: 5_000 }, out: {} });
      await registry.setRateLimit('owner', NETWORK, ALL, { in: { packets: 10 }, out: { packets: 20 } });
      await registry.setRateLimit('owner', NETWORK, MAX, out(1_000));
      const changed = await registry.setRateLimit('owner', NETWORK, ALL, {
        in: { bytes: 7_000 },
        out: { packets: 30 },
      });
      const limits = await limitsOf(registry);
      expect(limits.map(({ devices, rates }) => [devices, rates])).toEqual([
        [MAX, out(1_000)],
        [ALL, { in: { packets: 10, bytes: 7_000 }, out: { packets: 30 } }],
        [
          { ...party, name: group.name },
          { in: { bytes: 5_000 }, out: {} },
        ],
        [{ kind: 'device', address, name: 'pump' }, out(0)],
      ]);
      expect(changed).toEqual(limits[1]);
      const page = await registry.rateLimits(NETWORK, { limit: 3 });
      expect(page.rows).toEqual(limits.slice(0, 3));
      expect(await registry.rateLimits(NETWORK, { limit: 3, after: page.next })).toEqual({
        rows: limits.slice(3),
        next: undefined,
      });
      await fails(registry.rateLimits(NETWORK, { limit: 3, after: 'x' }), 'fabric.bad-cursor');
      expect(await limitsOf(registry, OTHER)).toEqual([]);
    });

    test('of a device come before those of its group, and those before that of the network; none is above the max', async () => {
      const { registry, group } = await withGroup(openEmpty);
      const [one, other] = [await registry.admit(applicant(group)), await registry.admit(applicant(group))];
      expect(await found(registry, one)).toEqual({ in: {}, out: {} });
      await registry.setRateLimit('owner', NETWORK, ALL, {
        in: { packets: 10 },
        out: { packets: 20, bytes: 900 },
      });
      const party = { kind: 'group', gid: group.gid, network: NETWORK } as const;
      await registry.setRateLimit('owner', NETWORK, party, { in: { packets: 11 }, out: { packets: 0 } });
      await registry.setRateLimit('owner', NETWORK, { kind: 'device', address: one }, out(5));
      expect(await found(registry, one)).toEqual({ in: { packets: 11 }, out: { packets: 5, bytes: 900 } });
      expect(await found(registry, other)).toEqual({ in: { packets: 11 }, out: { bytes: 900 } });
      await registry.setRateLimit('owner', NETWORK, MAX, { in: { packets: 4 }, out: { packets: 4 } });
      expect(await found(registry, one)).toEqual({ in: { packets: 4 }, out: { packets: 4, bytes: 900 } });
      expect(await found(registry, other)).toEqual({ in: { packets: 4 }, out: { packets: 4, bytes: 900 } });
    });

    test('above the max are refused, and what is below it is not; the host may change it', async () => {
      const { registry } = await withGroup(openEmpty);
      await registry.setRateLimit('root', NETWORK, MAX, { in: {}, out: { packets: 100, bytes: 0 } });
      await fails(registry.setRateLimit('anna', NETWORK, ALL, out(101)), 'fabric.limit-above-max');
      expect((await limitsOf(registry)).map(({ devices }) => devices)).toEqual([MAX]);
      await registry.setRateLimit('anna', NETWORK, ALL, {
        in: { packets: 5_000 },
        out: { packets: 100, bytes: 1_000_000 },
      });
      // As much as the max lets.
      await registry.setRateLimit('anna', NETWORK, ALL, out(0));
      await registry.setRateLimit('root', NETWORK, MAX, out(0));
      expect((await limitsOf(registry)).map(({ devices }) => devices)).toEqual([ALL]);
      await registry.setRateLimit('anna', NETWORK, ALL, out(101));
    });

    test('are removed, and one of all devices that says nothing is gone', async () => {
      const { registry, group } = await withGroup(openEmpty);
      const party = { kind: 'group', gid: group.gid, network: NETWORK } as const;
      await registry.setRateLimit('owner', NETWORK, party, out(7));
      await registry.setRateLimit('owner', NETWORK, ALL, out(8));
      expect(await registry.setRateLimit('owner', NETWORK, ALL, out(0))).toMatchObject({ rates: out(0) });
      expect(await registry.removeRateLimit('owner', NETWORK, party)).toMatchObject({ rates: out(7) });
      expect(await limitsOf(registry)).toEqual([]);
      for (const each of [party, ALL, MAX])
        await fails(registry.removeRateLimit('owner', NETWORK, each), 'fabric.unknown-limit');
    });

    test('are told to subscribers as a change of their network, and stand in the trail', async () => {
      const { registry, group } = await withGroup(openEmpty);
      const address = await registry.admit(applicant(group));
      await registry.catchUp();
      const changes: Change[] = [];
      registry.subscribe((change) => changes.push(change));
      const party: RateParty = { kind: 'device', address };
      await registry.setRateLimit('anna', NETWORK, party, { in: { bytes: 0 }, out: { packets: 7 } });
      await registry.removeRateLimit('bob', NETWORK, party);
      await registry.setRateLimit('root', NETWORK, MAX, out(9));
      await registry.catchUp();
      expect(changes).toEqual(Array(3).fill({ kind: 'network', prefix: NETWORK }));
      const { rows } = await registry.audit({ limit: 3 }, formatPrefix(NETWORK));
      const said = { devices: `device:${formatIpv6(address)}`, 'bytes-in': 0, 'packets-out': 7 };
      expect(rows.map(({ actor, action, detail }) => ({ actor, action, detail }))).toEqual([
        { actor: 'root', action: 'limit.max', detail: { devices: 'max', 'packets-out': 9 } },
        { actor: 'bob', action: 'limit.remove', detail: said },
        { actor: 'anna', action: 'limit.set', detail: said },
      ]);
    });

    test('name what is in their network, and another owner’s are as if they were not there', async () => {
      const { registry, group } = await withGroup(openEmpty);
      const { id } = await registry.addOwner('root', 'acme');
      await registry.lendPrefix('root', 'acme', parsePrefix('fd00:77::/48'));
      const acme = registry.of(scopeOf(id, false));
      await acme.addNetwork('anna', OTHER, 'acme');
      const away = await acme.addGroup('anna', { ...anyGroup(), network: OTHER });
      const stranger = await registry.admit(applicant(away));
      const refused: RateParty[] = [
        { kind: 'group', gid: away.gid, network: OTHER },
        { kind: 'group', gid: random(32), network: NETWORK },
        { kind: 'device', address: stranger },
        { kind: 'device', address: random(16) },
      ];
      for (const party of refused)
        await fails(registry.setRateLimit('owner', NETWORK, party, out(1)), 'fabric.bad-limit');
      await acme.setRateLimit('anna', OTHER, { kind: 'device', address: stranger }, out(1));
      await registry.setRateLimit('owner', NETWORK, ALL, out(1));
      expect(await allOf((page) => acme.rateLimits(NETWORK, page))).toEqual([]);
      await fails(acme.setRateLimit('anna', NETWORK, ALL, out(2)), 'fabric.unknown-network');
      await fails(acme.removeRateLimit('anna', NETWORK, ALL), 'fabric.unknown-network');
      expect((await limitsOf(registry)).map(({ rates }) => rates)).toEqual([out(1)]);
      expect(group.network).toEqual(NETWORK);
    });

    test('end with their network and their group', async () => {
      const { registry } = await withGroup(openEmpty);
      await registry.addNetwork('owner', OTHER, 'office');
      const away = await registry.addGroup('owner', { ...anyGroup(), network: OTHER });
      await registry.setRateLimit('owner', OTHER, { kind: 'group', gid: away.gid, network: OTHER }, out(1));
      await registry.setRateLimit('owner', OTHER, ALL, out(2));
      await registry.setRateLimit('owner', NETWORK, ALL, out(3));
      await registry.removeGroup('owner', away.gid);
      expect(await limitsOf(registry, OTHER)).toHaveLength(1);
      await registry.removeNetwork('owner', OTHER);
      await registry.addNetwork('owner', OTHER, 'again');
      expect(await limitsOf(registry, OTHER)).toEqual([]);
      expect(await limitsOf(registry)).toHaveLength(1);
    });

    test('are of so many groups and devices at most in a network', async () => {
      const { registry, group } = await withGroup(openEmpty);
      const addresses = await Promise.all(
        Array.from({ length: MOST_RATES }, () => registry.admit(applicant(group))),
      );
      await Promise.all(
        addresses.map((address) => registry.setRateLimit('o', NETWORK, { kind: 'device', address }, out(1))),
      );
      const party = { kind: 'group', gid: group.gid, network: NETWORK } as const;
      await fails(registry.setRateLimit('o', NETWORK, party, out(1)), 'fabric.too-many-limits');
      // Those that are there may be changed, and all devices limited.
      await registry.setRateLimit('o', NETWORK, { kind: 'device', address: addresses[0]! }, out(2));
      for (const each of [ALL, MAX]) await registry.setRateLimit('o', NETWORK, each, out(3));
      expect(await limitsOf(registry)).toHaveLength(MOST_RATES + 2);
    });
  });
}
