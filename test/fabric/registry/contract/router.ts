import { describe, expect, test } from 'vitest';
import { CLONES_AGAIN_MS, LOOKED_UP_AT_ONCE } from '../../../../fabric/registry/admission.ts';
import { concat } from '../../../../protocol/bytes.ts';
import { formatIpv6 } from '../../../../protocol/ipv6.ts';
import { anyGroup, NETWORK, random } from '../../place.ts';
import { applicant, type OpenEmpty, withGroup, ZERO } from './place.ts';

/** What the router reads and records, and the history of handshakes. */
export function routerContract(openEmpty: OpenEmpty): void {
  describe('what the router asks', () => {
    test('lookup tells key, network and standing; a suspended group shows in it', async () => {
      const { registry, group } = await withGroup(openEmpty);
      const chip = applicant(group);
      const address = await registry.admit(chip);
      expect(registry.lookup(address)).toEqual({
        address,
        longtermKey: chip.longtermKey,
        standing: 'active',
        gid: group.gid,
        network: NETWORK,
      });
      await registry.setGroupStatus('owner', group.gid, 'suspended');
      expect(registry.lookup(address)?.standing).toBe('suspended');
      await registry.setStanding('owner', address, 'ban');
      expect(registry.lookup(address)?.standing).toBe('banned');
      expect(registry.lookup(ZERO)).toBeUndefined();
    });

    test('holders tells the same of many addresses at once, in their order', async () => {
      const { registry, group } = await withGroup(openEmpty);
      const devices = await Promise.all(Array.from({ length: 20 }, () => registry.admit(applicant(group))));
      await registry.setStanding('owner', devices[3]!, 'ban');
      await registry.setStanding('owner', devices[4]!, 'evict');
      const strangers = Array.from({ length: LOOKED_UP_AT_ONCE - devices.length }, () =>
        concat(NETWORK.address.subarray(0, 8), random(8)),
      );
      const all = [...devices, ...strangers].sort(() => Math.random() - 0.5);
      // As many as there may be, and fewer than there is a statement for.
      for (const addresses of [all, devices, devices.slice(3, 5), strangers.slice(0, 1), []]) {
        const found = registry.holders(addresses);
        expect(found).toEqual(addresses.map((address) => registry.lookup(address)));
      }
      expect(registry.holders([devices[3]!, ZERO, devices[3]!])).toMatchObject([
        { address: devices[3]!, standing: 'banned' },
        undefined,
        { address: devices[3]!, standing: 'banned' },
      ]);
      expect(() => registry.holders([...all, ZERO])).toThrow();
      await registry.setGroupStatus('owner', group.gid, 'suspended');
      const standings = registry.holders(devices.slice(2, 5)).map((each) => each?.standing);
      expect(standings).toEqual(['suspended', 'banned', 'evicted']);
    });

    test('[H-C1] an address is in a network, whether it is a device’s or not', async () => {
      const { registry, group } = await withGroup(openEmpty);
      const address = await registry.admit(applicant(group));
      expect(registry.hasNetwork(address)).toBe(true);
      expect(registry.hasNetwork(address.map((byte, i) => (i > 7 ? byte ^ 1 : byte)))).toBe(true);
      expect(registry.hasNetwork(address.map((byte, i) => (i === 7 ? byte ^ 1 : byte)))).toBe(false);
      expect(registry.hasNetwork(ZERO)).toBe(false);
    });

    test('[H-C1] after a restore a key counts as outdated until the device’s next handshake', async () => {
      let now = 10_000;
      const open = await openEmpty();
      const registry = await open({ now: () => now });
      await registry.addNetwork('owner', NETWORK, '');
      const group = await registry.addGroup('owner', anyGroup());
      const chip = applicant(group);
      const address = await registry.admit(chip);
      expect(registry.lookup(address)).not.toHaveProperty('outdated');
      now = 20_000;
      await registry.recordRestore('owner', { backup: 'of yesterday' });
      expect(registry.lookup(address)).toMatchObject({ outdated: true, longtermKey: chip.longtermKey });
      expect((await open()).lookup(address)).toMatchObject({ outdated: true });
      expect((await registry.audit({ limit: 1 })).rows[0]).toMatchObject({
        actor: 'owner',
        action: 'fabric.restore',
        detail: { backup: 'of yesterday' },
      });
      now = 30_000;
      await registry.admit(chip);
      expect(registry.lookup(address)).not.toHaveProperty('outdated');
      await registry.verifyAudit();
    });

    test('[C-22] two devices with one key are in the audit trail, of which the newest is shown', async () => {
      let now = 10_000;
      const registry = await (await openEmpty())({ now: () => now });
      await registry.addNetwork('owner', NETWORK, '');
      const group = await registry.addGroup('owner', anyGroup());
      const [address, other] = [
        await registry.admit(applicant(group)),
        await registry.admit(applicant(group)),
      ];
      expect(await registry.clonesOf(address)).toBeUndefined();
      expect(await registry.clones(address, ['192.0.2.1', '192.0.2.2'])).toBe(true);
      now += CLONES_AGAIN_MS;
      expect(await registry.clones(address, ['192.0.2.1', '192.0.2.3'])).toBe(true);
      expect(await registry.clonesOf(address)).toMatchObject({
        at: now,
        action: 'device.twins',
        subject: formatIpv6(address),
        detail: { from: ['192.0.2.1', '192.0.2.3'] },
      });
      expect(await registry.clonesOf(other)).toBeUndefined();
      await registry.verifyAudit();
    });

    test('the history of tunnels survives a newer one replacing an older, and a crash', async () => {
      let now = 10_000;
      const open = await openEmpty();
      const registry = await open({ now: () => now });
      await registry.addNetwork('owner', NETWORK, '');
      const address = await registry.admit(applicant(await registry.addGroup('owner', anyGroup())));
      expect((await registry.device(address)).tunnel).toBeUndefined();
      const settle = (): Promise<unknown> => registry.refused({ source: 'x', proven: false, result: 'test' });

      registry.connected(address, '192.0.2.1:5000');
      now = 11_000;
      registry.connected(address, '192.0.2.2:5000');
      registry.disconnected(address);
      await settle();
      expect((await registry.device(address)).tunnel).toEqual({ at: 11_000, from: '192.0.2.2:5000' });
      registry.disconnected(address);
      await settle();
      expect((await registry.device(address)).tunnel).toMatchObject({ ended: 11_000 });

      registry.connected(address, '192.0.2.3:5000');
      await settle();
      now = 12_000;
      const next = await open({ now: () => now });
      (await next.follow(1_000))();
      expect((await next.device(address)).tunnel).toEqual({
        at: 11_000,
        from: '192.0.2.3:5000',
        ended: 12_000,
      });
    });
  });

  describe('[C-40] what a device tells of itself', () => {
    test('is kept with its time: the version, and the last failure until another one', async () => {
      let now = 1_000_000;
      const { registry, group } = await withGroup(openEmpty, { now: () => now });
      const [address, other] = [
        await registry.admit(applicant(group)),
        await registry.admit(applicant(group)),
      ];
      const settle = (): Promise<unknown> => registry.refused({ source: 'x', proven: false, result: 'test' });
      expect((await registry.device(address)).agent).toBeUndefined();
      registry.reported(address, { version: '1.0' });
      await settle();
      expect((await registry.device(address)).agent).toEqual({ at: 1_000_000, version: '1.0' });
      now = 1_100_000;
      registry.reported(address, { version: '1.1', failure: { code: 'tls.clock', seconds: 60 } });
      await settle();
      const failure = { code: 'tls.clock', at: 1_040_000 };
      expect((await registry.device(address)).agent).toEqual({ at: 1_100_000, version: '1.1', failure });
      now = 1_200_000;
      registry.reported(address, { version: '1.2' });
      await settle();
      expect((await registry.device(address)).agent).toEqual({ at: 1_200_000, version: '1.2', failure });
      registry.reported(address, { version: '1.2', failure: { code: 'net.dns', seconds: 0xffff_ffff } });
      await settle();
      expect((await registry.device(address)).agent?.failure).toEqual({ code: 'net.dns', at: 0 });
      expect((await registry.device(other)).agent).toBeUndefined();
    });
  });

  describe('the history of handshakes', () => {
    test('forgets old refusals of nobody in particular, never what a member did', async () => {
      const { registry, group } = await withGroup(openEmpty, { refusalsKept: 10 });
      const member = applicant(group);
      const address = await registry.admit(member);
      const proven = { source: 'member', gid: group.gid, pseudonym: member.pseudonym, proven: true };
      await registry.refused({ ...proven, result: 'fabric.device-banned' });
      for (let i = 0; i < 1_000; i++)
        registry.refused({ source: `${i}`, proven: false, result: 'net.timeout' });
      await registry.refused({ source: 'last', proven: false, result: 'net.timeout' });
      const left = (await registry.handshakes({ limit: 9_999 })).rows;
      expect(left.length).toBeLessThanOrEqual(13);
      expect(left[0]?.source).toBe('last');
      expect(left.filter((each) => each.proven).map((each) => each.result)).toEqual([
        'fabric.device-banned',
        'ok',
      ]);
      expect(
        (await registry.handshakes({ limit: 9 }, { device: await registry.device(address) })).rows,
      ).toHaveLength(2);
    });
  });
}
