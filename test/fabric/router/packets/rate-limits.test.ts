import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { routerMetrics } from '../../../../fabric/metrics/router.ts';
import type { RateLimit, RateParty, Rates } from '../../../../fabric/registry/rates.ts';
import type { NetworkSource } from '../../../../fabric/router/networks.ts';
import type { RateSource } from '../../../../fabric/router/rates.ts';
import type { Router } from '../../../../fabric/router/router.ts';
import { concat, equal, u16 } from '../../../../protocol/bytes.ts';
import { formatPrefix, parseIpv6, parsePrefix } from '../../../../protocol/ipv6.ts';
import { heartbeat } from '../../../../protocol/tunnel/icmp6.ts';
import { encodeReport } from '../../../../protocol/tunnel/report.ts';
import { ALPN_CONTROL, ALPN_SUPER, ROUTER_ADDRESS } from '../../../../protocol/tunnel/wire.ts';
import { ipv6, udp, udpTo } from '../../packets.ts';
import {
  activeDevices,
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
import { fakeNetworks } from './fake-networks.ts';

const OUTSIDE = parseIpv6('2001:db8::1');
const PLANT = parsePrefix('fd00:1::/64');
const PUMPS = new Uint8Array(32).fill(1);
const CAMERAS = new Uint8Array(32).fill(2);
const ALL: RateParty = { kind: 'any' };

type Limit = readonly [RateParty, Rates];

/** The rate limits of networks, which may change, as a registry tells them. */
function source(): NetworkSource &
  RateSource & { broken: boolean; set(...limits: readonly Limit[]): Promise<void> } {
  const { source: networks, tell } = fakeNetworks([PLANT]);
  let rows: RateLimit[] = [];
  return {
    ...networks,
    broken: false,
    async rateLimits(network) {
      if (this.broken) throw new Error('the disk is full');
      return { rows: formatPrefix(network) === formatPrefix(PLANT) ? rows : [], next: undefined };
    },
    async set(...limits) {
      rows = limits.map(([devices, rates]) => ({ network: PLANT, devices, rates, changed: 0 }));
      await tell(PLANT);
    },
  };
}

const out = (packets: number): Rates => ({ in: {}, out: { packets } });
const into = (packets: number): Rates => ({ in: { packets }, out: {} });

/** A C peer, and an agent with super-frames. */
const WIRES: readonly (readonly [string, Manner])[] = [
  ['plain', {}],
  [ALPN_SUPER, { alpn: [ALPN_SUPER] }],
];
/** So many packets at once, far more than what a limit of one in a second lets pass while a test runs. */
const MANY = 400;

describe.each(WIRES)('on the wire %s', (_, manner) => {
  let admission: FakeAdmission;
  let tun: FakeTun;
  let router: Router;
  let registry: ReturnType<typeof source>;
  let [pump, camera]: [Device, Device] = [] as never;
  let [pumpPeer, cameraPeer]: [Peer, Peer] = [] as never;
  let began = 0;

  beforeEach(async () => {
    admission = fakeAdmission();
    tun = fakeTun();
    registry = source();
    router = await testRouter(admission, { tun, networks: registry, rates: registry, threads: 3 });
    [pump, camera] = await Promise.all([makeDevice('fd00:1::a'), makeDevice('fd00:1::b')]);
    admission.set(pump, 'active', 'fd00:1::/64', { gid: PUMPS });
    admission.set(camera, 'active', 'fd00:1::/64', { gid: CAMERAS });
    [pumpPeer, cameraPeer] = [await admitted(router, pump, manner), await admitted(router, camera, manner)];
  });
  afterEach(async () => {
    await router.close();
    tun.remove();
  });

  const set = async (...limits: readonly Limit[]): Promise<void> => {
    began = performance.now();
    await registry.set(...limits);
    await router.settled();
  };
  const packets = (peer: Peer): number =>
    peer.received.filter((packet) => !equal(packet.subarray(8, 24), ROUTER_ADDRESS)).length;
  const limited = (device: Device): number => router.limited(device.address)!;

  /** The router has answered what the peer has sent last. */
  async function flushed(peer: Peer, device: Device): Promise<void> {
    const answers = (): number =>
      peer.received.filter((packet) => equal(packet.subarray(8, 24), ROUTER_ADDRESS)).length;
    const before = answers();
    peer.send(heartbeat(device.address));
    await until(() => answers() > before);
  }

  /** Sends packets and waits until each has arrived or was dropped; how many have arrived. */
  async function passed(send: (count: number) => void, arrived: () => number, count = MANY): Promise<number> {
    const lost = (): number => router.counters().drops.limited;
    const [before, lostBefore] = [arrived(), lost()];
    send(count);
    await until(() => arrived() - before + (lost() - lostBefore) >= count);
    expect(arrived() - before + (lost() - lostBefore)).toBe(count);
    return arrived() - before;
  }
  const send = (from: [Peer, Device], to: [Peer, Device], count?: number): Promise<number> =>
    passed(
      (n) => from[0].send(...Array.from({ length: n }, () => udp(from[1].address, to[1].address))),
      () => packets(to[0]),
      count,
    );
  /** What one a second lets pass at most of what was sent since the limit is in force, however slow this machine is. */
  const most = (): number => 1 + (performance.now() - began) / 1_000;

  const pumps = (): [Peer, Device] => [pumpPeer, pump];
  const cameras = (): [Peer, Device] => [cameraPeer, camera];

  it('without limits everything passes', async () => {
    expect(await send(pumps(), cameras())).toBe(MANY);
    await set([ALL, into(0)]);
    expect(await send(pumps(), cameras())).toBe(MANY);
    expect(limited(pump)).toBe(0);
    expect(router.limited(OUTSIDE)).toBeUndefined();
  });

  it('what a device sends beyond its limit is dropped and counted at it, and nobody else loses anything', async () => {
    await set([{ kind: 'device', address: pump.address }, out(1)]);
    const got = await send(pumps(), cameras());
    expect(got).toBeGreaterThanOrEqual(1);
    expect(got).toBeLessThanOrEqual(most());
    expect(limited(pump)).toBe(MANY - got);
    expect(await send(cameras(), pumps())).toBe(MANY);
    expect(limited(camera)).toBe(0);
    expect(routerMetrics(router)).toContain(`enf_router_dropped_total{cause="limited"} ${MANY - got}\n`);
    // What goes to the host as well.
    const outside = await passed(
      (n) => pumpPeer.send(...Array.from({ length: n }, () => udp(pump.address, OUTSIDE))),
      () => tun.written.length,
    );
    expect(outside).toBeLessThanOrEqual(most());
  });

  it('what a device gets beyond its limit is dropped and counted at it, whoever sends', async () => {
    await set([{ kind: 'device', address: camera.address }, into(1)]);
    const got = await send(pumps(), cameras());
    expect(got).toBeGreaterThanOrEqual(1);
    expect(got).toBeLessThanOrEqual(most());
    expect(limited(camera)).toBe(MANY - got);
    expect(limited(pump)).toBe(0);
    const fromHost = (to: Device) => (n: number) =>
      tun.deliver(...Array.from({ length: n }, () => udp(OUTSIDE, to.address)));
    expect(await passed(fromHost(camera), () => packets(cameraPeer), 50)).toBeLessThanOrEqual(most());
    expect(await passed(fromHost(pump), () => packets(pumpPeer), 50)).toBe(50);
    expect(await send(cameras(), pumps())).toBe(MANY);
  });

  it('heartbeats and control messages pass whatever the limit', async () => {
    await set([ALL, { in: { packets: 1, bytes: 1_000 }, out: { packets: 1, bytes: 1_000 } }]);
    await send(pumps(), cameras());
    for (let i = 0; i < 30; i++) await flushed(pumpPeer, pump);
    if (manner.alpn === undefined) return;
    pumpPeer.send(encodeReport({ version: '1.2.3' })!);
    await until(() => admission.history.some((line) => line.endsWith('1.2.3')));
  });

  it('newer limits are in force at once, for open tunnels, and none when they are removed', async () => {
    await set([ALL, out(1)]);
    expect(await send(pumps(), cameras())).toBeLessThanOrEqual(most());
    await set();
    expect(await send(pumps(), cameras())).toBe(MANY);
    await set([ALL, into(1)]);
    expect(await send(pumps(), cameras())).toBeLessThanOrEqual(most());
    await set([ALL, into(1)], [{ kind: 'device', address: camera.address }, into(0)]);
    expect(await send(pumps(), cameras())).toBe(MANY);
  });

  it('of a group are of its devices alone, also of those that come later', async () => {
    await set([{ kind: 'group', gid: CAMERAS, network: PLANT }, out(1)]);
    expect(await send(pumps(), cameras())).toBe(MANY);
    expect(await send(cameras(), pumps())).toBeLessThanOrEqual(most());
    const [late, other] = await Promise.all([makeDevice('fd00:1::c'), makeDevice('fd00:1::d')]);
    admission.set(late, 'active', 'fd00:1::/64', { gid: CAMERAS });
    admission.set(other, 'active', 'fd00:1::/64', { gid: PUMPS });
    const [latePeer, otherPeer] = [
      await admitted(router, late, manner),
      await admitted(router, other, manner),
    ];
    expect(await send([latePeer, late], pumps())).toBeLessThanOrEqual(most());
    expect(await send([otherPeer, other], pumps())).toBe(MANY);
  });

  it('that cannot be read change nothing, which is said, until they can', async () => {
    await set([ALL, out(1)]);
    registry.broken = true;
    await registry.set();
    await expect(router.settled()).rejects.toMatchObject({ code: 'router.limits-unread', remedy: 'retry' });
    expect(await send(pumps(), cameras())).toBeLessThanOrEqual(most());
    registry.broken = false;
    await router.settled();
    expect(await send(pumps(), cameras())).toBe(MANY);
  });
});

describe('limits that are there when the router starts', () => {
  it('are in force from the first packet on, and a burst counts as its packets', async () => {
    const [admission, registry] = [fakeAdmission(), source()];
    await registry.set([ALL, out(1)]);
    const began = performance.now();
    const router = await testRouter(admission, { networks: registry, rates: registry });
    try {
      const [a, b] = await activeDevices(admission, 'fd00:1::a', 'fd00:1::b');
      const sender = await admitted(router, a, { alpn: [ALPN_SUPER] });
      const receiver = await admitted(router, b, { alpn: [ALPN_CONTROL] });
      const packet = ipv6(a.address, b.address, 17, udpTo([9, 7], 4_800));
      const burst = concat(u16(packet.length + 4), Uint8Array.of(0xe1, 5), u16(1_200), packet);
      for (let i = 0; i < 100; i++) sender.tls.write(burst);
      await until(() => receiver.received.length + router.limited(a.address)! === 400);
      // The first one passes whole, and then nothing until that is paid.
      expect(receiver.received.length % 4).toBe(0);
      expect(receiver.received.length).toBeGreaterThanOrEqual(4);
      expect(receiver.received.length).toBeLessThanOrEqual(4 + (performance.now() - began) / 1_000);
    } finally {
      await router.close();
    }
  });
});
