import { afterEach, beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import { generateP256 } from '../../../../crypto/primitives.ts';
import type { RouterLimits } from '../../../../fabric/router/limits.ts';
import type { NetworkSource } from '../../../../fabric/router/networks.ts';
import type { Router } from '../../../../fabric/router/router.ts';
import { concat, equal, u16, u32 } from '../../../../protocol/bytes.ts';
import { formatIpv6, parseIpv6, parsePrefix } from '../../../../protocol/ipv6.ts';
import { heartbeat } from '../../../../protocol/tunnel/icmp6.ts';
import { ROUTER_ADDRESS } from '../../../../protocol/tunnel/wire.ts';
import { identityFiles } from '../../identities.ts';
import { udp } from '../../packets.ts';
import { anyGroup, NETWORK, opened, registryFile } from '../../place.ts';
import { applicant } from '../../registry/contract/place.ts';
import {
  activeDevice,
  admitted,
  type Device,
  type FakeAdmission,
  type FakeTun,
  fakeAdmission,
  fakeTun,
  makeDevice,
  type Peer,
  testRouter,
  until,
} from '../fixture.ts';
import { type FakeNetworks, fakeNetworks } from './fake-networks.ts';

let admission: FakeAdmission;
let tun: FakeTun;
let a: Device;
let b: Device;
let c: Device;

beforeEach(async () => {
  admission = fakeAdmission();
  tun = fakeTun();
  [a, b, c] = (await Promise.all(['fd00:1::a', 'fd00:1::b', 'fd00:2::c'].map(makeDevice))) as [
    Device,
    Device,
    Device,
  ];
  admission.set(a, 'active');
  admission.set(b, 'active');
  admission.set(c, 'active', 'fd00:2::/64');
});

afterEach(() => tun.remove());

const networksOf = (...texts: string[]): FakeNetworks => fakeNetworks(texts.map(parsePrefix));

async function start(
  networks: NetworkSource | undefined,
  limits: Partial<RouterLimits> = {},
  threads = 1,
): Promise<Router> {
  const router = await testRouter(admission, { tun, limits, threads, ...(networks && { networks }) });
  onTestFinished(() => router.close());
  return router;
}

/** Resolves once everything that `peer` sent before has been handled. */
async function settled(peer: Peer, device: Device): Promise<void> {
  const before = peer.received.length;
  peer.send(heartbeat(device.address));
  await until(() =>
    peer.received.slice(before).some((packet) => equal(packet.subarray(8, 24), ROUTER_ADDRESS)),
  );
}

/** The addresses that the registry is asked about from now on. */
function asked(): string[] {
  const names: string[] = [];
  const { lookup } = admission;
  admission.lookup = function (address) {
    names.push(formatIpv6(address));
    return lookup.call(this, address);
  };
  return names;
}

const viewOf = (router: Router, device: Device) =>
  router.sessions().find((session) => session.address === device.name)!;

const dropsOf = (router: Router, device: Device): Record<string, number> =>
  Object.fromEntries(Object.entries(viewOf(router, device).counters.drops).filter(([, times]) => times > 0));

/** Address `number` of a block of addresses that nobody has. */
const nowhere = (prefix: string, block: number, number: number): Uint8Array =>
  concat(parseIpv6(prefix).subarray(0, 8), u16(0x5000 + block), u16(0), u32(number));

describe('whose an address is', () => {
  it('[H-A3] is answered for every other device while one scans its network', async () => {
    const router = await start(networksOf('fd00:1::/64', 'fd00:2::/64').source);
    const scanner = await admitted(router, a);
    const others = [
      { device: b, peer: await admitted(router, b), prefix: 'fd00:1::' },
      { device: c, peer: await admitted(router, c), prefix: 'fd00:2::' },
    ];
    let sent = 0;
    for (let round = 0; round < 40; round++) {
      scanner.send(
        ...Array.from({ length: 1000 }, (_, i) =>
          udp(a.address, nowhere('fd00:1::', 0, round * 1000 + i), 1, 0),
        ),
      );
      await settled(scanner, a);
      for (const { device, peer, prefix } of others) {
        peer.send(
          udp(device.address, nowhere(prefix, 1, round), 2, 0),
          udp(device.address, nowhere(prefix, 2, round), 2, 0),
        );
        await settled(peer, device);
        sent += 2;
      }
      void tun.written; // or it is full at some time
    }
    await until(() => tun.written.filter((packet) => packet.at(-1) === 2).length === sent);
    expect(dropsOf(router, b)).toEqual({});
    expect(dropsOf(router, c)).toEqual({});
    expect(dropsOf(router, a)['queue-full']).toBeGreaterThan(1000);
  });

  it('[H-A3] is asked of the registry for many addresses together', async () => {
    const router = await start(networksOf('fd00:1::/64').source);
    const scanner = await admitted(router, a);
    const { holders } = admission;
    admission.holders = function (addresses) {
      // Slower than the device sends.
      for (const until = performance.now() + 5; performance.now() < until; );
      return holders.call(this, addresses);
    };
    const scanned = Array.from({ length: 60 }, (_, i) => nowhere('fd00:1::', 0, i));
    scanner.send(...scanned.map((to) => udp(a.address, to)));
    await until(() => tun.written.length === scanned.length);
    expect(admission.together.reduce((sum, each) => sum + each, 0)).toBe(scanned.length);
    expect(admission.together.length).toBeLessThan(scanned.length / 4);
  });

  it('[H-A3] is not asked outside the networks: such a packet goes to the host at once', async () => {
    const networks = networksOf('fd00:1::/64', 'fd00:2::/64');
    const router = await start(networks.source);
    const [peer, late] = [await admitted(router, a), await makeDevice('fd00:3::d')];
    admission.set(late, 'active', 'fd00:3::/64');
    const names = asked();
    const outside = Array.from({ length: 1000 }, (_, i) =>
      nowhere(i % 2 === 0 ? '2001:db8::' : 'fd00:3::', 0, i),
    );
    for (let i = 0; i < outside.length; i += 50) {
      peer.send(...outside.slice(i, i + 50).map((to) => udp(a.address, to)));
      await until(() => tun.written.length === i + 50);
    }
    expect(names).toEqual([]);
    expect(dropsOf(router, a)).toEqual({});

    // In a network, also in another one than the sender's, it is.
    peer.send(udp(a.address, b.address), udp(a.address, c.address), udp(a.address, parseIpv6('fd00:1::1')));
    await until(() => tun.written.length === outside.length + 1 && dropsOf(router, a).offline === 2);
    expect(names.sort()).toEqual([b.name, c.name, 'fd00:1::1'].sort());

    await networks.tell(parsePrefix('fd00:3::/64'));
    peer.send(udp(a.address, late.address), udp(a.address, nowhere('2001:db8::', 1, 1)));
    await until(() => dropsOf(router, a).offline === 3 && tun.written.length === outside.length + 2);
    expect(names).toContain(late.name);
  });

  it('may be any device’s while no networks are known', async () => {
    const router = await start(undefined);
    const peer = await admitted(router, a);
    const names = asked();
    peer.send(udp(a.address, c.address), udp(a.address, parseIpv6('2001:db8::1')));
    await until(() => dropsOf(router, a).offline === 1 && tun.written.length === 1);
    expect(names.sort()).toEqual(['2001:db8::1', c.name]);
  });

  it('is answered although the device that asked for it first has gone', async () => {
    const router = await start(networksOf('fd00:1::/64').source);
    const [first, second] = [await admitted(router, a), await admitted(router, b)];
    first.send(...Array.from({ length: 200 }, (_, i) => udp(a.address, nowhere('fd00:1::', 0, i), 1, 0)));
    await settled(first, a);
    first.close();
    await until(() => router.sessions().length === 1);
    second.send(udp(b.address, nowhere('fd00:1::', 0, 150), 2, 0));
    await until(() => tun.written.some((packet) => packet.at(-1) === 2));
    expect(dropsOf(router, b)).toEqual({});
  });
});

describe('an address that was nobody’s', () => {
  it.each([1, 2, 4])(
    '[H-A3] is a device’s as soon as the registry has admitted that (%i threads)',
    async (threads) => {
      const own = Uint8Array.of(0xaa, 1, 2, 3, 4, 5, 6, 7);
      let next = Uint8Array.of(0xaa, 0, 0, 0, 0, 0, 0, 1);
      const registry = opened(registryFile(), { identifier: () => next });
      await registry.addNetwork('owner', NETWORK, '');
      const { gid } = await registry.addGroup('owner', anyGroup());
      const keys = generateP256();
      const address = await registry.admit(applicant({ gid }, { longtermKey: keys.publicKey }));
      const sender: Device = {
        address,
        name: formatIpv6(address),
        publicKey: keys.publicKey,
        ...(await identityFiles(address, keys)),
      };
      const router = await testRouter(registry, { tun, threads, networks: registry });
      onTestFinished(() => router.close());
      const peer = await admitted(router, sender);
      const newcomer = concat(NETWORK.address.subarray(0, 8), own);
      peer.send(udp(address, newcomer, 1));
      await until(() => tun.written.length === 1);
      peer.send(udp(address, newcomer, 2));
      await until(() => tun.written.length === 2);

      next = own;
      expect(await registry.admit(applicant({ gid }))).toEqual(newcomer);
      peer.send(udp(address, newcomer, 3));
      await until(() => dropsOf(router, sender).offline === 1);
      // Whatever becomes of it, the address stays a device's.
      for (const [i, change] of (['evict', 'ban', 'unban'] as const).entries()) {
        await registry.setStanding('owner', newcomer, change);
        peer.send(udp(address, newcomer, 4));
        await until(() => dropsOf(router, sender).offline === 2 + i);
      }
      expect(tun.written).toHaveLength(2);
    },
  );

  it('[H-A3] is a device’s once that has connected, whatever was answered before', async () => {
    const newcomer = await activeDevice(admission, 'fd00:1::d');
    const { lookup } = admission;
    let known = false;
    admission.lookup = function (address) {
      return !known && equal(address, newcomer.address) ? undefined : lookup.call(this, address);
    };
    const router = await start(networksOf('fd00:1::/64').source, {}, 2);
    const peer = await admitted(router, a);
    peer.send(udp(a.address, newcomer.address));
    await until(() => tun.written.length === 1);
    known = true;
    (await admitted(router, newcomer)).close();
    await until(() => router.sessions().length === 1);
    await settled(peer, a);
    peer.send(udp(a.address, newcomer.address));
    await until(() => (dropsOf(router, a).offline ?? 0) === 1);
    expect(tun.written).toHaveLength(1);
  });
});

describe('the memory of queues', () => {
  it('[H-A3] that a network’s devices have filled has room for a device of another', {
    timeout: 120_000,
  }, async () => {
    const MEGABYTE = 1 << 20;
    const router = await start(undefined, { queueBytes: 16 * MEGABYTE, stallMs: 600_000 });
    const crowd = await Promise.all(Array.from({ length: 30 }, (_, i) => makeDevice(`fd00:2::${i + 100}`)));
    for (const device of crowd) admission.set(device, 'active', 'fd00:2::/64');
    const peers = [];
    for (const device of [...crowd, b]) {
      const peer = await admitted(router, device);
      peer.tls.pause();
      peers.push(peer);
    }
    const [blaster, sender] = [await admitted(router, c), await admitted(router, a)];
    const queued = (devices: readonly Device[]): number =>
      devices.reduce((sum, device) => sum + viewOf(router, device).queuedBytes, 0);
    for (let last = -1; queued(crowd) > last || last < 50 * MEGABYTE; ) {
      last = queued(crowd);
      for (const { address } of crowd)
        blaster.send(...Array.from({ length: 300 }, () => udp(c.address, address, 1, 1400)));
      await settled(blaster, c);
    }
    while (queued([b]) < 4 * MEGABYTE) {
      sender.send(...Array.from({ length: 100 }, () => udp(a.address, b.address, 1, 1400)));
      await settled(sender, a);
      expect(dropsOf(router, b)).toEqual({});
    }
    for (const peer of peers) peer.raw.destroy();
  });
});
