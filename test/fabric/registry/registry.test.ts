import { describe, expect, test } from 'vitest';
import type { Identifier } from '../../../fabric/registry/address.ts';
import type { Applicant, Group } from '../../../fabric/registry/records.ts';
import type { Registry } from '../../../fabric/registry/registry.ts';
import { parseNetwork } from '../../../fabric/registry/sqlite/networks.ts';
import { formatIpv6, matches, parsePrefix } from '../../../protocol/ipv6.ts';
import { anyGroup, NETWORK, opened, random, registryFile } from '../place.ts';

const ZERO = new Uint8Array(16);

function applicant(group: { gid: Uint8Array }, fields: Partial<Applicant> = {}): Applicant {
  return {
    gid: group.gid,
    pseudonym: random(65),
    longtermKey: random(65),
    requested: ZERO,
    source: '192.0.2.7',
    suite: 1,
    ...fields,
  };
}

function withGroup(options: Parameters<typeof opened>[1] = {}): { registry: Registry; group: Group } {
  const registry = opened(registryFile(), options);
  registry.addNetwork(NETWORK, 'plant');
  return { registry, group: registry.addGroup(anyGroup()) };
}

describe('networks and groups', () => {
  test('a network is a /64 of unicast, and there once', () => {
    const registry = opened(registryFile());
    registry.addNetwork(parseNetwork('fd00:1::/64'), 'plant');
    expect(registry.networks()).toMatchObject([{ name: 'plant', prefix: parsePrefix('fd00:1::/64') }]);
    expect(() => registry.addNetwork(parseNetwork('fd00:1::/64'), 'again')).toThrow(
      expect.objectContaining({ code: 'fabric.network-exists' }),
    );
    for (const text of ['fd00::/48', 'fe80::/64', 'ff02::/64', '::/64', 'fd00::/65']) {
      expect(() => parseNetwork(text), text).toThrow(expect.objectContaining({ code: 'fabric.bad-network' }));
    }
  });

  test('a group is found by the first digits of its id, as printed', () => {
    const { registry } = withGroup();
    const gid = new Uint8Array(32).fill(0xab);
    registry.addGroup({ ...anyGroup('other'), gid });
    registry.addGroup({ ...anyGroup('third'), gid: gid.map((byte, i) => (i === 4 ? 0xcd : byte)) });
    expect(registry.group('ABAB abab ab').name).toBe('other');
    expect(registry.group('ababababc').name).toBe('third');
    expect(() => registry.group('abababab')).toThrow(
      expect.objectContaining({ code: 'fabric.ambiguous-group' }),
    );
    expect(() => registry.group('ab')).toThrow(expect.objectContaining({ code: 'fabric.unknown-group' }));
    expect(() => registry.group('xyzw')).toThrow(expect.objectContaining({ code: 'bytes.bad-hex' }));
  });

  test('a group needs its network, and is there once', () => {
    const { registry, group } = withGroup();
    expect(() => registry.addGroup(group)).toThrow(expect.objectContaining({ code: 'fabric.group-exists' }));
    expect(() => registry.addGroup({ ...anyGroup(), network: parsePrefix('fd00:9::/64') })).toThrow(
      expect.objectContaining({ code: 'fabric.unknown-network' }),
    );
    expect(registry.groups()).toEqual([group]);
  });
});

describe('admission', () => {
  test('a chip gets one address in its network, for ever, and one row', async () => {
    const { registry, group } = withGroup();
    const first = applicant(group);
    const address = await registry.admit(first);
    expect(matches(NETWORK, address)).toBe(true);
    const again = { ...first, longtermKey: random(65), source: '192.0.2.8' };
    expect(await registry.admit(again)).toEqual(address);
    expect(registry.devices()).toHaveLength(1);
    expect(registry.device(address)).toMatchObject({
      longtermKey: again.longtermKey,
      standing: 'active',
      handshake: { from: '192.0.2.8' },
    });
    expect(registry.handshakes(9, registry.device(address)).map((each) => each.source)).toEqual([
      '192.0.2.8',
      '192.0.2.7',
    ]);
    expect(await registry.admit(applicant(group))).not.toEqual(address);
  });

  test('the same chip would get the same address if its row were lost', async () => {
    const seen: string[] = [];
    const identifier: Identifier = (key, pseudonym, counter) => {
      seen.push(`${key.length} ${pseudonym.length} ${counter}`);
      return Uint8Array.from([1, 2, 3, 4, 5, 6, 7, 8]);
    };
    const { registry, group } = withGroup({ identifier });
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
    const { registry, group } = withGroup({ identifier });
    const texts: string[] = [];
    for (let i = 0; i < 4; i++) texts.push(formatIpv6(await registry.admit(applicant(group))));
    expect(texts).toEqual([0, 1, 2, 3].map((i) => `fd00:1:2:3:aa00::${i === 0 ? '' : i}`));
    await expect(registry.admit(applicant(group))).rejects.toMatchObject({ code: 'fabric.network-full' });
    expect(registry.devices()).toHaveLength(4);
  });

  test('a requested address is granted to its owner only', async () => {
    const { registry, group } = withGroup();
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
    expect(registry.devices()).toHaveLength(1);
    expect(registry.audit(99).filter((entry) => entry.action === 'device.admit')).toHaveLength(1);
  });

  test('unknown and suspended groups are refused, a resumed one is not', async () => {
    const { registry, group } = withGroup();
    await expect(registry.admit(applicant(anyGroup()))).rejects.toMatchObject({
      code: 'fabric.group-not-admitted',
    });
    expect(registry.setGroupStatus(group.gid, 'suspended')).toBe(true);
    expect(registry.setGroupStatus(group.gid, 'suspended')).toBe(false);
    await expect(registry.admit(applicant(group))).rejects.toMatchObject({ code: 'fabric.group-suspended' });
    expect(() => registry.openGroup(group.gid)).toThrow(
      expect.objectContaining({ code: 'fabric.group-suspended' }),
    );
    registry.setGroupStatus(group.gid, 'active');
    await registry.admit(applicant(group));
  });

  test('an evicted device comes back with its address, a banned one does not until unbanned', async () => {
    const { registry, group } = withGroup();
    const chip = applicant(group);
    const address = await registry.admit(chip);
    expect(registry.judge(address, 'evict')).toBe(true);
    expect(registry.lookup(address)?.standing).toBe('evicted');
    expect(await registry.admit({ ...chip, longtermKey: random(65) })).toEqual(address);
    expect(registry.lookup(address)?.standing).toBe('active');

    expect(registry.judge(address, 'ban')).toBe(true);
    expect(registry.judge(address, 'ban')).toBe(false);
    const key = registry.device(address).longtermKey;
    await expect(registry.admit({ ...chip, longtermKey: random(65) })).rejects.toMatchObject({
      code: 'fabric.device-banned',
    });
    expect(registry.device(address)).toMatchObject({ standing: 'banned', longtermKey: key });
    expect(registry.judge(address, 'unban')).toBe(true);
    expect(registry.judge(address, 'unban')).toBe(false);
    expect(await registry.admit(chip)).toEqual(address);
    // A ban does not swallow an eviction: once unbanned the device still has to provision again.
    registry.judge(address, 'ban');
    expect(registry.judge(address, 'evict')).toBe(true);
    expect(registry.judge(address, 'evict')).toBe(false);
    expect(registry.lookup(address)?.standing).toBe('banned');
    registry.judge(address, 'unban');
    expect(registry.lookup(address)?.standing).toBe('evicted');
    expect(() => registry.judge(ZERO, 'ban')).toThrow(
      expect.objectContaining({ code: 'fabric.unknown-device' }),
    );
  });

  test('applicants who come together are committed together, and a refused one harms no other', async () => {
    const { registry, group } = withGroup();
    const results = await Promise.allSettled(
      Array.from({ length: 300 }, (_, i) => registry.admit(applicant(i % 3 === 0 ? anyGroup() : group))),
    );
    expect(results.filter((each) => each.status === 'fulfilled')).toHaveLength(200);
    expect(registry.devices()).toHaveLength(200);
    expect(registry.verifyAudit().entries).toBe(3 + 200);
  });
});

describe('what the router asks', () => {
  test('lookup tells key, network and standing; a suspended group shows in it', async () => {
    const { registry, group } = withGroup();
    const chip = applicant(group);
    const address = await registry.admit(chip);
    expect(registry.lookup(address)).toEqual({
      address,
      longtermKey: chip.longtermKey,
      standing: 'active',
      network: NETWORK,
    });
    registry.setGroupStatus(group.gid, 'suspended');
    expect(registry.lookup(address)?.standing).toBe('suspended');
    registry.judge(address, 'ban');
    expect(registry.lookup(address)?.standing).toBe('banned');
    expect(registry.lookup(ZERO)).toBeUndefined();
  });

  test('[C-22] two devices with one key are in the audit trail, of which the newest is shown', async () => {
    let now = 10_000;
    const registry = opened(registryFile(), { now: () => now });
    registry.addNetwork(NETWORK, '');
    const group = registry.addGroup(anyGroup());
    const [address, other] = [await registry.admit(applicant(group)), await registry.admit(applicant(group))];
    expect(registry.twinsOf(address)).toBeUndefined();
    registry.twins(address, ['192.0.2.1', '192.0.2.2']);
    now = 20_000;
    registry.twins(address, ['192.0.2.1', '192.0.2.3']);
    await registry.refused({ source: 'x', proven: false, result: 'test' });
    expect(registry.twinsOf(address)).toMatchObject({
      at: 20_000,
      action: 'device.twins',
      subject: formatIpv6(address),
      detail: { from: ['192.0.2.1', '192.0.2.3'] },
    });
    expect(registry.twinsOf(other)).toBeUndefined();
    registry.verifyAudit();
  });

  test('the history of tunnels survives a newer one replacing an older, and a crash', async () => {
    let now = 10_000;
    const file = registryFile();
    const registry = opened(file, { now: () => now });
    registry.addNetwork(NETWORK, '');
    const address = await registry.admit(applicant(registry.addGroup(anyGroup())));
    expect(registry.device(address).tunnel).toBeUndefined();
    const settle = (): Promise<unknown> => registry.refused({ source: 'x', proven: false, result: 'test' });

    registry.connected(address, '192.0.2.1:5000');
    now = 11_000;
    registry.connected(address, '192.0.2.2:5000');
    registry.disconnected(address);
    await settle();
    expect(registry.device(address).tunnel).toEqual({ at: 11_000, from: '192.0.2.2:5000' });
    registry.disconnected(address);
    await settle();
    expect(registry.device(address).tunnel).toMatchObject({ ended: 11_000 });

    registry.connected(address, '192.0.2.3:5000');
    await settle();
    now = 12_000;
    const next = opened(file, { now: () => now });
    next.follow(1_000)();
    expect(next.device(address).tunnel).toEqual({ at: 11_000, from: '192.0.2.3:5000', ended: 12_000 });
  });
});

describe('[C-40] what a device tells of itself', () => {
  test('is kept with its time: the version, and the last failure until another one', async () => {
    let now = 1_000_000;
    const { registry, group } = withGroup({ now: () => now });
    const [address, other] = [await registry.admit(applicant(group)), await registry.admit(applicant(group))];
    const settle = (): Promise<unknown> => registry.refused({ source: 'x', proven: false, result: 'test' });
    expect(registry.device(address).agent).toBeUndefined();
    registry.reported(address, { version: '1.0' });
    await settle();
    expect(registry.device(address).agent).toEqual({ at: 1_000_000, version: '1.0' });
    now = 1_100_000;
    registry.reported(address, { version: '1.1', failure: { code: 'tls.clock', seconds: 60 } });
    await settle();
    const failure = { code: 'tls.clock', at: 1_040_000 };
    expect(registry.device(address).agent).toEqual({ at: 1_100_000, version: '1.1', failure });
    now = 1_200_000;
    registry.reported(address, { version: '1.2' });
    await settle();
    expect(registry.device(address).agent).toEqual({ at: 1_200_000, version: '1.2', failure });
    registry.reported(address, { version: '1.2', failure: { code: 'net.dns', seconds: 0xffff_ffff } });
    await settle();
    expect(registry.device(address).agent?.failure).toEqual({ code: 'net.dns', at: 0 });
    expect(registry.device(other).agent).toBeUndefined();
  });
});

describe('the history of handshakes', () => {
  test('forgets old refusals of nobody in particular, never what a member did', async () => {
    const { registry, group } = withGroup({ refusalsKept: 10 });
    const member = applicant(group);
    const address = await registry.admit(member);
    const proven = { source: 'member', gid: group.gid, pseudonym: member.pseudonym, proven: true };
    await registry.refused({ ...proven, result: 'fabric.device-banned' });
    for (let i = 0; i < 1_000; i++)
      registry.refused({ source: `${i}`, proven: false, result: 'net.timeout' });
    await registry.refused({ source: 'last', proven: false, result: 'net.timeout' });
    const left = registry.handshakes(9_999);
    expect(left.length).toBeLessThanOrEqual(13);
    expect(left[0]?.source).toBe('last');
    expect(left.filter((each) => each.proven).map((each) => each.result)).toEqual([
      'fabric.device-banned',
      'ok',
    ]);
    expect(registry.handshakes(9, registry.device(address))).toHaveLength(2);
  });
});
