import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Router } from '../../../../fabric/router/router.ts';
import { equal, toHex } from '../../../../protocol/bytes.ts';
import { formatPrefix, parseIpv6, parsePrefix } from '../../../../protocol/ipv6.ts';
import { heartbeat } from '../../../../protocol/tunnel/icmp6.ts';
import { parsePrefixMessage } from '../../../../protocol/tunnel/prefix.ts';
import { ALPN_CONTROL, ALPN_SUPER, PREFIX_TYPE, ROUTER_ADDRESS } from '../../../../protocol/tunnel/wire.ts';
import { ipv6, tcpTo, udp } from '../../packets.ts';
import {
  admitted,
  type Device,
  type FakeAdmission,
  type FakeTun,
  fakeAdmission,
  fakeTun,
  type Manner,
  makeDevice,
  type Peer,
  testRouter,
  until,
} from '../fixture.ts';
import { type FakeRules, fakeRules } from './fake-networks.ts';

const PLANT = parsePrefix('fd00:1::/64');
const OFFICE = parsePrefix('fd00:2::/64');
const POOL = parsePrefix('fd00:9::/48');
const [FIRST, SECOND] = ['fd00:9:0:1::/64', 'fd00:9:0:2::/64'];
const MACHINE = parseIpv6('fd00:9:0:1::17');
const OTHER_MACHINE = parseIpv6('fd00:9:0:1::18');
const ELSEWHERE = parseIpv6('fd00:9:0:2::17');
const OUTSIDE = parseIpv6('2001:db8::1');

/** A C peer, an agent with control messages, and one with super-frames. */
const WIRES: readonly (readonly [string, Manner])[] = [
  ['plain', {}],
  [ALPN_CONTROL, { alpn: [ALPN_CONTROL] }],
  [ALPN_SUPER, { alpn: [ALPN_SUPER] }],
];

describe.each(WIRES)('a prefix behind a device on the wire %s', (_, manner) => {
  let admission: FakeAdmission;
  let tun: FakeTun;
  let router: Router;
  let registry: FakeRules;
  let [gateway, pump, clerk]: [Device, Device, Device] = [] as never;
  let [gatewayPeer, pumpPeer, clerkPeer]: [Peer, Peer, Peer] = [] as never;

  const delegate = async (device: Device, delegated = 'none', network = 'fd00:1::/64'): Promise<void> => {
    admission.set(device, 'active', network, { delegated });
    await router?.settled();
  };

  beforeEach(async () => {
    admission = fakeAdmission();
    tun = fakeTun();
    registry = fakeRules([PLANT, OFFICE]);
    await registry.setPool(PLANT, POOL);
    // Three threads, so that most devices are on different ones.
    router = await testRouter(admission, { tun, networks: registry, rules: registry, threads: 3 });
    [gateway, pump, clerk] = await Promise.all([
      makeDevice('fd00:1::a'),
      makeDevice('fd00:1::b'),
      makeDevice('fd00:2::c'),
    ]);
    await delegate(gateway, FIRST);
    await delegate(pump);
    admission.set(clerk, 'active', 'fd00:2::/64');
    [gatewayPeer, pumpPeer, clerkPeer] = [
      await admitted(router, gateway, manner),
      await admitted(router, pump, manner),
      await admitted(router, clerk),
    ];
    await router.settled();
  });
  afterEach(async () => {
    await router.close();
    tun.remove();
  });

  const drops = (): Record<string, number> =>
    Object.fromEntries(Object.entries(router.counters().drops).filter(([, times]) => times > 0));
  const dropped = (): number => Object.values(drops()).reduce((sum, each) => sum + each, 0);
  const packets = (peer: Peer): Uint8Array[] =>
    peer.received.filter((packet) => !equal(packet.subarray(8, 24), ROUTER_ADDRESS));

  /** Whether one more arrives, or is dropped, whichever comes. */
  async function sent(send: () => void, arrived: () => readonly Uint8Array[]): Promise<boolean> {
    const [before, lost] = [arrived().length, dropped()];
    send();
    await until(() => arrived().length > before || dropped() > lost);
    return arrived().length > before;
  }
  const reaches = (from: Peer, source: Uint8Array, to: Peer, destination: Uint8Array): Promise<boolean> =>
    sent(
      () => from.send(udp(source, destination)),
      () => packets(to),
    );
  const reachesHost = (from: Peer, source: Uint8Array, destination = OUTSIDE): Promise<boolean> =>
    sent(
      () => from.send(udp(source, destination)),
      () => tun.written,
    );
  const comesFromHost = (source: Uint8Array, to: Peer, destination: Uint8Array): Promise<boolean> =>
    sent(
      () => tun.deliver(udp(source, destination)),
      () => packets(to),
    );

  it('what is there reaches others and is reached, end to end', async () => {
    expect(await reaches(gatewayPeer, MACHINE, pumpPeer, pump.address)).toBe(true);
    expect(await reaches(pumpPeer, pump.address, gatewayPeer, MACHINE)).toBe(true);
    expect(await reachesHost(gatewayPeer, MACHINE)).toBe(true);
    expect(await comesFromHost(OUTSIDE, gatewayPeer, MACHINE)).toBe(true);
    // The device itself goes on as before.
    expect(await reaches(gatewayPeer, gateway.address, pumpPeer, pump.address)).toBe(true);
    expect(await reaches(pumpPeer, pump.address, gatewayPeer, gateway.address)).toBe(true);
    // And so is what is between two prefixes.
    await delegate(pump, SECOND);
    expect(await reaches(gatewayPeer, MACHINE, pumpPeer, ELSEWHERE)).toBe(true);
    expect(await reaches(pumpPeer, ELSEWHERE, gatewayPeer, MACHINE)).toBe(true);
    expect(drops()).toEqual({});
  });

  it('nobody uses the prefix of another, or one that is nobody’s', async () => {
    await delegate(pump, SECOND);
    expect(await reaches(pumpPeer, MACHINE, gatewayPeer, gateway.address)).toBe(false);
    expect(await reaches(gatewayPeer, ELSEWHERE, pumpPeer, pump.address)).toBe(false);
    expect(await reaches(gatewayPeer, parseIpv6('fd00:9:0:3::1'), pumpPeer, pump.address)).toBe(false);
    expect(await reaches(clerkPeer, MACHINE, gatewayPeer, gateway.address)).toBe(false);
    expect(drops()).toEqual({ spoofed: 4 });
    // Nor does the host, or whoever is beyond it.
    expect(await comesFromHost(MACHINE, pumpPeer, pump.address)).toBe(false);
    expect(await comesFromHost(parseIpv6('fd00:9::1'), pumpPeer, pump.address)).toBe(false);
    expect(drops()).toEqual({ spoofed: 4, 'host-spoofed': 2 });
  });

  it('what is of the pool and no connected device’s never comes to the host', async () => {
    const asked = admission.asked.length;
    expect(await reachesHost(pumpPeer, pump.address, ELSEWHERE)).toBe(false);
    expect(await comesFromHost(OUTSIDE, gatewayPeer, ELSEWHERE)).toBe(false);
    expect(drops()).toEqual({ offline: 2 });
    // The registry is not asked whose it is.
    expect(admission.asked.slice(asked)).not.toContain(toHex(ELSEWHERE));
    gatewayPeer.close();
    await gatewayPeer.ending;
    await until(() => router.sizes.agent + router.sizes.c === 2);
    await router.settled();
    expect(await reachesHost(pumpPeer, pump.address, MACHINE)).toBe(false);
    expect(tun.written).toEqual([]);
  });

  it('it is withdrawn and given without cutting the tunnel', async () => {
    await delegate(gateway);
    expect(await reaches(gatewayPeer, MACHINE, pumpPeer, pump.address)).toBe(false);
    expect(await reaches(pumpPeer, pump.address, gatewayPeer, MACHINE)).toBe(false);
    expect(drops()).toEqual({ spoofed: 1, offline: 1 });
    await delegate(gateway, SECOND);
    expect(await reaches(gatewayPeer, ELSEWHERE, pumpPeer, pump.address)).toBe(true);
    expect(await reaches(gatewayPeer, MACHINE, pumpPeer, pump.address)).toBe(false);
    // What one device has lost another one may get.
    await delegate(pump, FIRST);
    expect(await reaches(gatewayPeer, ELSEWHERE, pumpPeer, MACHINE)).toBe(true);
    expect(router.sessions()).toHaveLength(3);
  });

  it('a device that connects again has it, and the former connection not', async () => {
    const again = await admitted(router, gateway, manner);
    await router.settled();
    expect(await reaches(again, MACHINE, pumpPeer, pump.address)).toBe(true);
    expect(await reaches(pumpPeer, pump.address, again, MACHINE)).toBe(true);
    expect(packets(gatewayPeer)).toEqual([]);
    admission.set(gateway, 'banned');
    await router.settled();
    expect(await reaches(pumpPeer, pump.address, again, MACHINE)).toBe(false);
  });

  it('what another one still has, a device does not get', async () => {
    await delegate(pump, FIRST);
    expect(await reaches(pumpPeer, MACHINE, gatewayPeer, gateway.address)).toBe(false);
    expect(await reaches(gatewayPeer, MACHINE, pumpPeer, pump.address)).toBe(true);
  });

  it('rules take it for the device, at either end', async () => {
    await registry.setRules(PLANT, {
      action: 'deny',
      direction: 'in',
      devices: { kind: 'device', address: pump.address },
      other: { kind: 'device', address: gateway.address },
    });
    await router.settled();
    expect(await reaches(gatewayPeer, MACHINE, pumpPeer, pump.address)).toBe(false);
    expect(await reaches(pumpPeer, pump.address, gatewayPeer, MACHINE)).toBe(true);
    await registry.setRules(PLANT, {
      action: 'deny',
      direction: 'in',
      devices: { kind: 'device', address: gateway.address },
      protocol: 'tcp',
    });
    await router.settled();
    const syn = (from: Uint8Array, to: Uint8Array) => ipv6(from, to, 6, tcpTo([9, 80], 2));
    const tcp = (from: Peer, source: Uint8Array, to: Peer, destination: Uint8Array) =>
      sent(
        () => from.send(syn(source, destination)),
        () => packets(to),
      );
    expect(await tcp(pumpPeer, pump.address, gatewayPeer, MACHINE)).toBe(false);
    expect(await tcp(gatewayPeer, MACHINE, pumpPeer, pump.address)).toBe(true);
    // From another network nothing comes, as to the device.
    expect(await reaches(clerkPeer, clerk.address, gatewayPeer, MACHINE)).toBe(false);
    expect(drops()).toMatchObject({ 'foreign-network': 1 });
  });

  it('an answer comes to the machine that has asked, and to no other', async () => {
    await registry.setRules(PLANT, {
      action: 'deny',
      direction: 'in',
      devices: { kind: 'device', address: gateway.address },
    });
    await router.settled();
    expect(await reaches(gatewayPeer, MACHINE, pumpPeer, pump.address)).toBe(true);
    expect(await reaches(pumpPeer, pump.address, gatewayPeer, OTHER_MACHINE)).toBe(false);
    expect(await reaches(pumpPeer, pump.address, gatewayPeer, gateway.address)).toBe(false);
    expect(await reaches(pumpPeer, pump.address, gatewayPeer, MACHINE)).toBe(true);
  });

  it('the agent is told, and a C peer is not', async () => {
    const told = (peer: Peer): (string | undefined)[] =>
      peer.controls
        .filter(([type]) => type === PREFIX_TYPE)
        .map((packet) => parsePrefixMessage(packet)!.prefix)
        .map((prefix) => prefix && formatPrefix(prefix));
    const flushed = async (): Promise<void> => {
      const before = gatewayPeer.received.length;
      gatewayPeer.send(heartbeat(gateway.address));
      await until(() => gatewayPeer.received.length > before);
    };
    await delegate(gateway);
    await delegate(gateway, SECOND);
    // The same once more says nothing.
    await delegate(gateway, SECOND);
    await flushed();
    expect(told(gatewayPeer)).toEqual(manner.alpn === undefined ? [] : [FIRST, undefined, SECOND]);
    expect(told(pumpPeer)).toEqual(manner.alpn === undefined ? [] : [undefined]);
    // Nothing is said where nobody ever had one.
    const silent = await makeDevice('fd00:2::d');
    admission.set(silent, 'active', 'fd00:2::/64');
    const silentPeer = await admitted(router, silent, manner);
    const other = silentPeer.received.length;
    silentPeer.send(heartbeat(silent.address));
    await until(() => silentPeer.received.length > other);
    expect(told(silentPeer)).toEqual([]);
  });

  it('one that is granted and not given yet is asked for', async () => {
    await delegate(pump, 'awaited');
    expect(admission.history).toContain(`wants ${toHex(pump.address)}`);
    expect(await reaches(pumpPeer, ELSEWHERE, gatewayPeer, gateway.address)).toBe(false);
    await delegate(pump, SECOND);
    expect(await reaches(pumpPeer, ELSEWHERE, gatewayPeer, gateway.address)).toBe(true);
  });

  it('a pool that goes is the host’s way again', async () => {
    await delegate(gateway);
    await registry.setPool(PLANT, undefined);
    await router.settled();
    expect(await reachesHost(pumpPeer, pump.address, ELSEWHERE)).toBe(true);
    await registry.setPool(OFFICE, POOL);
    await router.settled();
    expect(await reachesHost(pumpPeer, pump.address, ELSEWHERE)).toBe(false);
  });
});
