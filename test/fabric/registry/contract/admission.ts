import { describe, expect, test } from 'vitest';
import type { Identifier } from '../../../../fabric/registry/address.ts';
import type { City } from '../../../../fabric/registry/records.ts';
import { formatIpv6, matches } from '../../../../protocol/ipv6.ts';
import { allOf, anyGroup, NETWORK, random } from '../../place.ts';
import { applicant, type OpenEmpty, withGroup, ZERO } from './place.ts';

/** A place from which nobody has come yet. */
const NEW = {
  source: '192.0.2.99',
  city: {
    ...{ country: 'CH', region: 'Zurich', city: 'Uster' },
    point: { latitude: 47.3471, longitude: 8.7209, radiusKm: 20 },
  },
} as const;

/** Who gets which address. */
export function admissionContract(openEmpty: OpenEmpty): void {
  describe('admission', () => {
    test('a chip gets one address in its network, for ever, and one row', async () => {
      const { registry, group } = await withGroup(openEmpty);
      const first = applicant(group);
      const address = await registry.admit(first);
      expect(matches(NETWORK, address)).toBe(true);
      const again = { ...first, longtermKey: random(65), source: '192.0.2.8' };
      expect(await registry.admit(again)).toEqual(address);
      expect(await allOf((page) => registry.devices(page))).toHaveLength(1);
      expect(await registry.device(address)).toMatchObject({
        longtermKey: again.longtermKey,
        standing: 'active',
        handshake: { from: '192.0.2.8' },
      });
      expect(
        (await registry.handshakes({ limit: 9 }, { device: await registry.device(address) })).rows.map(
          (each) => each.source,
        ),
      ).toEqual(['192.0.2.8', '192.0.2.7']);
      expect(await registry.admit(applicant(group))).not.toEqual(address);
    });

    test('the same chip would get the same address if its row were lost', async () => {
      const seen: string[] = [];
      const identifier: Identifier = (key, pseudonym, counter) => {
        seen.push(`${key.length} ${pseudonym.length} ${counter}`);
        return Uint8Array.from([1, 2, 3, 4, 5, 6, 7, 8]);
      };
      const { registry, group } = await withGroup(openEmpty, { identifier });
      expect(formatIpv6(await registry.admit(applicant(group)))).toBe('fd00:1:2:3:102:304:506:708');
      expect(seen).toEqual(['32 65 0']);
    });

    test('when two chips collide the second counts on; reserved identifiers are skipped', async () => {
      // Counters 0 and 1 are reserved, from 2 on there are four identifiers for everybody.
      const identifier: Identifier = (_key, _pseudonym, counter) => {
        if (counter === 0) return new Uint8Array(8);
        if (counter === 1) return new Uint8Array(8).fill(0xff).with(0, 0xfd);
        return Uint8Array.of(0xaa, 0, 0, 0, 0, 0, 0, Math.min(counter - 2, 3));
      };
      const { registry, group } = await withGroup(openEmpty, { identifier });
      const texts: string[] = [];
      for (let i = 0; i < 4; i++) texts.push(formatIpv6(await registry.admit(applicant(group))));
      expect(texts).toEqual([0, 1, 2, 3].map((i) => `fd00:1:2:3:aa00::${i === 0 ? '' : i}`));
      await expect(registry.admit(applicant(group))).rejects.toMatchObject({ code: 'fabric.network-full' });
      expect(await allOf((page) => registry.devices(page))).toHaveLength(4);
    });

    test('a requested address is granted to its owner only', async () => {
      const { registry, group } = await withGroup(openEmpty);
      const owner = applicant(group);
      const address = await registry.admit(owner);
      expect(await registry.admit({ ...owner, requested: address })).toEqual(address);
      const thief = applicant(group, { requested: address });
      await expect(registry.admit(thief)).rejects.toMatchObject({ code: 'fabric.address-not-yours' });
      const free = address.with(15, address[15]! ^ 1);
      await expect(registry.admit({ ...owner, requested: free })).rejects.toMatchObject({
        code: 'fabric.address-not-yours',
      });
      // Nothing of the refused ones is left: no row, no new key.
      expect(await allOf((page) => registry.devices(page))).toHaveLength(1);
      expect(
        (await registry.audit({ limit: 99 })).rows.filter((entry) => entry.action === 'device.admit'),
      ).toHaveLength(1);
    });

    test('a chip that is refused takes nobody with it who is admitted at the same time', async () => {
      // All want the same address first: the one that asks for it is refused once it is found to be taken.
      const identifier: Identifier = (_key, pseudonym, counter) =>
        Uint8Array.of(0xaa, 0, 0, 0, 0, 0, counter, counter === 0 ? 0 : pseudonym[0]!);
      const cityOf = (source: string): City | undefined => (source === NEW.source ? NEW.city : undefined);
      const { registry, group } = await withGroup(openEmpty, { identifier, cityOf });
      const first = await registry.admit(applicant(group));
      const thief = applicant(group, { requested: first, source: NEW.source });
      const done = await Promise.allSettled(
        [applicant(group), thief, applicant(group)].map((each) => registry.admit(each)),
      );
      expect(done).toMatchObject([
        { status: 'fulfilled' },
        { status: 'rejected', reason: { code: 'fabric.address-not-yours' } },
        { status: 'fulfilled' },
      ]);
      expect(await allOf((page) => registry.devices(page))).toHaveLength(3);
    });

    test('the trail of an address ends with its admission, page by page, and has nobody else’s', async () => {
      const { registry, group } = await withGroup(openEmpty);
      const address = await registry.admit(applicant(group));
      const other = await registry.admit(applicant(group));
      for (const change of ['ban', 'unban', 'ban'] as const)
        await registry.setStanding('owner', address, change);
      const seen: string[] = [];
      let after: string | undefined;
      do {
        const page = await registry.audit(
          { limit: 1, ...(after !== undefined && { after }) },
          formatIpv6(address),
        );
        seen.push(...page.rows.map(({ action }) => action));
        after = page.next;
      } while (after !== undefined);
      expect(seen).toEqual(['device.ban', 'device.unban', 'device.ban', 'device.admit']);
      expect((await registry.audit({ limit: 9 }, formatIpv6(other))).rows).toMatchObject([
        { action: 'device.admit', subject: formatIpv6(other) },
      ]);
      const nobody = address.with(15, address[15]! ^ 1);
      expect((await registry.audit({ limit: 9 }, formatIpv6(nobody))).rows).toEqual([]);
    });

    test('[H-A3] whoever asks is told each address before it is assigned, and of no refused one', async () => {
      const { registry, group } = await withGroup(openEmpty);
      const told: string[] = [];
      const stop = registry.onAdmitted((address) => told.push(formatIpv6(address)));
      registry.onAdmitted(() => {
        throw new Error('broken listener');
      });
      const chip = applicant(group);
      const address = formatIpv6(await registry.admit(chip));
      expect(told).toEqual([address]);
      await registry.admit(chip);
      await expect(registry.admit(applicant(anyGroup()))).rejects.toMatchObject({
        code: 'fabric.group-not-admitted',
      });
      expect(told).toEqual([address, address]);
      stop();
      await registry.admit(applicant(group));
      expect(told).toHaveLength(2);
    });

    test('unknown and suspended groups are refused, a resumed one is not', async () => {
      const { registry, group } = await withGroup(openEmpty);
      await expect(registry.admit(applicant(anyGroup()))).rejects.toMatchObject({
        code: 'fabric.group-not-admitted',
      });
      expect(await registry.setGroupStatus('owner', group.gid, 'suspended')).toBe(true);
      expect(await registry.setGroupStatus('owner', group.gid, 'suspended')).toBe(false);
      await expect(registry.admit(applicant(group))).rejects.toMatchObject({
        code: 'fabric.group-suspended',
      });
      await expect(registry.openGroup(group.gid)).rejects.toMatchObject({ code: 'fabric.group-suspended' });
      await registry.setGroupStatus('owner', group.gid, 'active');
      await registry.admit(applicant(group));
    });

    test('an evicted device comes back with its address, a banned one does not until unbanned', async () => {
      const { registry, group } = await withGroup(openEmpty);
      const chip = applicant(group);
      const address = await registry.admit(chip);
      expect(await registry.setStanding('owner', address, 'evict')).toBe(true);
      expect(registry.lookup(address)?.standing).toBe('evicted');
      expect(await registry.admit({ ...chip, longtermKey: random(65) })).toEqual(address);
      expect(registry.lookup(address)?.standing).toBe('active');

      expect(await registry.setStanding('owner', address, 'ban')).toBe(true);
      expect(await registry.setStanding('owner', address, 'ban')).toBe(false);
      const key = (await registry.device(address)).longtermKey;
      await expect(registry.admit({ ...chip, longtermKey: random(65) })).rejects.toMatchObject({
        code: 'fabric.device-banned',
      });
      expect(await registry.device(address)).toMatchObject({ standing: 'banned', longtermKey: key });
      expect(await registry.setStanding('owner', address, 'unban')).toBe(true);
      expect(await registry.setStanding('owner', address, 'unban')).toBe(false);
      expect(await registry.admit(chip)).toEqual(address);
      // A ban does not swallow an eviction: once unbanned the device still has to provision again.
      await registry.setStanding('owner', address, 'ban');
      expect(await registry.setStanding('owner', address, 'evict')).toBe(true);
      expect(await registry.setStanding('owner', address, 'evict')).toBe(false);
      expect(registry.lookup(address)?.standing).toBe('banned');
      await registry.setStanding('owner', address, 'unban');
      expect(registry.lookup(address)?.standing).toBe('evicted');
      await expect(registry.setStanding('owner', ZERO, 'ban')).rejects.toMatchObject({
        code: 'fabric.unknown-device',
      });
    });

    test('applicants who come together are committed together, and a refused one harms no other', async () => {
      const { registry, group } = await withGroup(openEmpty);
      const results = await Promise.allSettled(
        Array.from({ length: 300 }, (_, i) => registry.admit(applicant(i % 3 === 0 ? anyGroup() : group))),
      );
      expect(results.filter((each) => each.status === 'fulfilled')).toHaveLength(200);
      expect(await allOf((page) => registry.devices(page))).toHaveLength(200);
      expect((await registry.verifyAudit()).entries).toBe(3 + 200);
    });
  });
}
