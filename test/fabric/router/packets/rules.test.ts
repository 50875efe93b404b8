import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { routerMetrics } from '../../../../fabric/metrics/router.ts';
import type { NewRule, Rule } from '../../../../fabric/registry/rules.ts';
import type { Router } from '../../../../fabric/router/router.ts';
import { concat, equal, toHex, u16 } from '../../../../protocol/bytes.ts';
import { type Prefix, parseIpv6, parsePrefix } from '../../../../protocol/ipv6.ts';
import { heartbeat } from '../../../../protocol/tunnel/icmp6.ts';
import { ALPN_SUPER, ROUTER_ADDRESS } from '../../../../protocol/tunnel/wire.ts';
import { echo, fragment, ipv6, type Ports, tcpTo, udpTo } from '../../packets.ts';
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
import { type FakeRules, fakeRules } from './fake-networks.ts';

const [TCP, UDP, FRAGMENT, ICMPV6] = [6, 17, 44, 58];
const [SYN, RST, ACK] = [2, 4, 16];
const HOST = parseIpv6('fd00:1::1');
const OUTSIDE = parseIpv6('2001:db8::1');
const PLANT = parsePrefix('fd00:1::/64');
const OFFICE = parsePrefix('fd00:2::/64');
const PUMPS = new Uint8Array(32).fill(1);
const CAMERAS = new Uint8Array(32).fill(2);

const port = (first: number, last = first): Partial<NewRule> => ({ ports: { first, last } });

/** A C peer, an agent with control messages, and one with super-frames. */
const WIRES: readonly (readonly [string, Manner])[] = [
  ['plain', {}],
  [ALPN_SUPER, { alpn: [ALPN_SUPER] }],
];

describe.each(WIRES)('on the wire %s', (_, manner) => {
  let admission: FakeAdmission;
  let tun: FakeTun;
  let router: Router;
  let registry: FakeRules;
  let [pump, camera, clerk]: [Device, Device, Device] = [] as never;
  let [pumpPeer, cameraPeer, clerkPeer]: [Peer, Peer, Peer] = [] as never;

  beforeEach(async () => {
    admission = fakeAdmission();
    tun = fakeTun();
    registry = fakeRules([PLANT, OFFICE]);
    // Three threads, so that most devices are on different ones.
    router = await testRouter(admission, { tun, networks: registry, rules: registry, threads: 3 });
    [pump, camera, clerk] = await Promise.all([
      makeDevice('fd00:1::a'),
      makeDevice('fd00:1::b'),
      makeDevice('fd00:2::c'),
    ]);
    admission.set(pump, 'active', 'fd00:1::/64', { gid: PUMPS });
    admission.set(camera, 'active', 'fd00:1::/64', { gid: CAMERAS });
    admission.set(clerk, 'active', 'fd00:2::/64');
    [pumpPeer, cameraPeer, clerkPeer] = [
      await admitted(router, pump, manner),
      await admitted(router, camera),
      await admitted(router, clerk, manner),
    ];
  });
  afterEach(async () => {
    await router.close();
    tun.remove();
  });

  const set = async (network: Prefix, ...rules: Partial<NewRule>[]): Promise<Rule[]> => {
    const made = await registry.setRules(network, ...rules);
    await router.settled();
    return made;
  };
  const drops = (): Record<string, number> =>
    Object.fromEntries(Object.entries(router.counters().drops).filter(([, times]) => times > 0));

  /** The router has handled what the peer has sent so far. */
  async function flushed(peer: Peer, device: Device): Promise<void> {
    const answers = (): number =>
      peer.received.filter((packet) => equal(packet.subarray(8, 24), ROUTER_ADDRESS)).length;
    const before = answers();
    peer.send(heartbeat(device.address));
    await until(() => answers() > before);
  }

  const dropped = (): number => Object.values(drops()).reduce((sum, each) => sum + each, 0);
  const packets = (peer: Peer): Uint8Array[] =>
    peer.received.filter((packet) => !equal(packet.subarray(8, 24), ROUTER_ADDRESS));

  /** Sends a packet from one device to another: whether it arrives. */
  async function reaches(
    from: [Peer, Device],
    to: [Peer, Device],
    next: number,
    payload: Uint8Array,
  ): Promise<boolean> {
    return sent(
      () => from[0].send(ipv6(from[1].address, to[1].address, next, payload)),
      packets.bind(null, to[0]),
    );
  }

  /** Whether one more arrives, or is dropped, whichever comes. */
  async function sent(send: () => void, arrived: () => readonly Uint8Array[]): Promise<boolean> {
    const [before, lost] = [arrived().length, dropped()];
    send();
    await until(() => arrived().length > before || dropped() > lost);
    return arrived().length > before;
  }

  const toHost = (
    from: [Peer, Device],
    to: Uint8Array,
    next: number,
    payload: Uint8Array,
  ): Promise<boolean> =>
    sent(
      () => from[0].send(ipv6(from[1].address, to, next, payload)),
      () => tun.written,
    );
  const fromHost = (
    source: Uint8Array,
    to: [Peer, Device],
    next: number,
    payload: Uint8Array,
  ): Promise<boolean> =>
    sent(
      () => tun.deliver(ipv6(source, to[1].address, next, payload)),
      () => packets(to[0]),
    );

  const pumps = (): [Peer, Device] => [pumpPeer, pump];
  const cameras = (): [Peer, Device] => [cameraPeer, camera];
  const clerks = (): [Peer, Device] => [clerkPeer, clerk];
  const udp = (ports: Ports): [number, Uint8Array] => [UDP!, udpTo(ports)];
  const tcp = (ports: Ports, flags = SYN!): [number, Uint8Array] => [TCP!, tcpTo(ports, flags)];

  it('without rules all within a network passes, and nothing between two', async () => {
    expect(await reaches(pumps(), cameras(), ...udp([9, 53]))).toBe(true);
    expect(await reaches(cameras(), pumps(), ...udp([9, 53]))).toBe(true);
    expect(await reaches(pumps(), clerks(), ...udp([9, 53]))).toBe(false);
    expect(await toHost(pumps(), HOST, ...udp([9, 53]))).toBe(true);
    expect(await fromHost(OUTSIDE, pumps(), ...udp([9, 53]))).toBe(true);
    expect(drops()).toEqual({ 'foreign-network': 1 });
  });

  it('the first rule that fits decides: protocol, port, direction', async () => {
    await set(
      PLANT,
      { action: 'deny', protocol: 'tcp', ...port(22) },
      { action: 'allow', protocol: 'tcp', ...port(1, 1000) },
      { action: 'deny', protocol: 'tcp' },
      { action: 'deny', direction: 'out', protocol: 'udp', ...port(53) },
    );
    expect(await reaches(pumps(), cameras(), ...tcp([5000, 22]))).toBe(false);
    expect(await reaches(pumps(), cameras(), ...tcp([5000, 443]))).toBe(true);
    expect(await reaches(pumps(), cameras(), ...tcp([5000, 1001]))).toBe(false);
    expect(await reaches(pumps(), cameras(), ...udp([5000, 1001]))).toBe(true);
    expect(await reaches(pumps(), cameras(), ...udp([5000, 53]))).toBe(false);
    expect(await reaches(pumps(), cameras(), ICMPV6!, echo(128, 7))).toBe(true);
    expect(drops()).toEqual({ refused: 3 });
  });

  it('answers pass, and nothing else from there', async () => {
    await set(PLANT, { action: 'deny', devices: { kind: 'device', address: pump.address } });
    expect(await reaches(pumps(), cameras(), ...tcp([5000, 80]))).toBe(true);
    expect(await reaches(cameras(), pumps(), ...tcp([80, 5000], SYN! | ACK!))).toBe(true);
    expect(await reaches(cameras(), pumps(), ...tcp([81, 5000], SYN! | ACK!))).toBe(false);
    expect(await reaches(cameras(), pumps(), ...tcp([5000, 80]))).toBe(false);
    expect(await reaches(pumps(), cameras(), ...udp([5000, 53]))).toBe(true);
    expect(await reaches(cameras(), pumps(), ...udp([53, 5000]))).toBe(true);
    expect(await reaches(cameras(), pumps(), ...udp([53, 5001]))).toBe(false);
    expect(await reaches(pumps(), cameras(), ICMPV6!, echo(128, 7))).toBe(true);
    expect(await reaches(cameras(), pumps(), ICMPV6!, echo(129, 7))).toBe(true);
    expect(await reaches(cameras(), pumps(), ICMPV6!, echo(129, 8))).toBe(false);
    expect(await reaches(cameras(), pumps(), ICMPV6!, echo(128, 7))).toBe(false);
  });

  it('an error about a packet of a flow passes, one about any other does not', async () => {
    await set(PLANT, { action: 'deny', devices: { kind: 'device', address: pump.address } });
    expect(await toHost(pumps(), OUTSIDE, ...tcp([5000, 80]))).toBe(true);
    const about = (ports: Ports): Uint8Array =>
      concat(Uint8Array.of(2, 0, 0, 0, 0, 0, 5, 0), ipv6(pump.address, OUTSIDE, TCP!, tcpTo(ports, SYN!)));
    const between = parseIpv6('2001:db8::ffff');
    expect(await fromHost(between, pumps(), ICMPV6!, about([5000, 80]))).toBe(true);
    expect(await fromHost(between, pumps(), ICMPV6!, about([5000, 81]))).toBe(false);
    expect(await fromHost(between, pumps(), ICMPV6!, about([5001, 80]))).toBe(false);
  });

  it('groups and devices are let through by their names', async () => {
    const group = { kind: 'group', gid: CAMERAS, network: PLANT } as const;
    await set(
      PLANT,
      {
        action: 'allow',
        devices: { kind: 'group', gid: PUMPS, network: PLANT },
        other: group,
        protocol: 'udp',
      },
      { action: 'deny', devices: group, other: { kind: 'device', address: pump.address } },
      { action: 'deny', devices: { kind: 'group', gid: PUMPS, network: PLANT } },
    );
    expect(await reaches(cameras(), pumps(), ...udp([1, 2]))).toBe(true);
    expect(await reaches(cameras(), pumps(), ...tcp([1, 2]))).toBe(false);
    expect(await reaches(pumps(), cameras(), ...udp([3, 4]))).toBe(false);
    expect(await fromHost(HOST, pumps(), ...udp([3, 4]))).toBe(false);
    expect(await fromHost(HOST, cameras(), ...udp([3, 4]))).toBe(true);
  });

  it('the host and what is outside are two', async () => {
    await set(
      PLANT,
      { action: 'deny', direction: 'out', other: { kind: 'host' } },
      { action: 'deny', direction: 'in', other: { kind: 'outside' } },
    );
    expect(await toHost(pumps(), HOST, ...udp([1, 2]))).toBe(false);
    expect(await toHost(pumps(), OUTSIDE, ...udp([1, 2]))).toBe(true);
    expect(await fromHost(OUTSIDE, pumps(), ...udp([2, 1]))).toBe(true);
    expect(await fromHost(OUTSIDE, pumps(), ...udp([2, 3]))).toBe(false);
    expect(await fromHost(HOST, pumps(), ...udp([2, 3]))).toBe(true);
    expect(await reaches(cameras(), pumps(), ...udp([2, 3]))).toBe(true);
  });

  it('another network comes in by name only, and its answers go back', async () => {
    await set(PLANT, { action: 'allow' }, { action: 'allow', direction: 'out' });
    expect(await reaches(clerks(), pumps(), ...tcp([5000, 443]))).toBe(false);
    expect(drops()).toEqual({ 'foreign-network': 1 });
    await set(PLANT, { other: { kind: 'network', prefix: OFFICE }, protocol: 'tcp', ...port(443) });
    expect(await reaches(clerks(), pumps(), ...tcp([5000, 443]))).toBe(true);
    expect(await reaches(pumps(), clerks(), ...tcp([443, 5000], SYN! | ACK!))).toBe(true);
    expect(await reaches(clerks(), pumps(), ...tcp([5000, 443], ACK!))).toBe(true);
    expect(await reaches(clerks(), pumps(), ...tcp([5000, 22]))).toBe(false);
    // It is one way: the other network has let nobody in.
    expect(await reaches(pumps(), clerks(), ...tcp([443, 5001]))).toBe(false);
    // Its own rules hold for it as well.
    await set(OFFICE, { action: 'deny', direction: 'out', protocol: 'tcp' });
    expect(await reaches(clerks(), pumps(), ...tcp([5002, 443]))).toBe(false);
    await set(OFFICE);
    expect(await reaches(clerks(), pumps(), ...tcp([5002, 443]))).toBe(true);
    await set(PLANT);
    expect(await reaches(clerks(), pumps(), ...tcp([5000, 443], ACK!))).toBe(false);
  });

  it('newer rules are in force at once, for established flows, too', async () => {
    await set(PLANT, { action: 'allow' });
    expect(await reaches(cameras(), pumps(), ...tcp([5000, 22]))).toBe(true);
    expect(await reaches(pumps(), cameras(), ...tcp([22, 5000], SYN! | ACK!))).toBe(true);
    expect(await reaches(cameras(), pumps(), ...tcp([5000, 23]))).toBe(true);
    await set(PLANT, { action: 'deny', protocol: 'tcp', ...port(22) });
    expect(await reaches(cameras(), pumps(), ...tcp([5000, 22], ACK!))).toBe(false);
    expect(await reaches(cameras(), pumps(), ...tcp([5000, 23], ACK!))).toBe(true);
    // What its end still sends does not begin it again.
    await reaches(pumps(), cameras(), ...tcp([22, 5000], ACK!));
    expect(await reaches(cameras(), pumps(), ...tcp([5000, 22], ACK!))).toBe(false);
    await set(PLANT, { action: 'allow' });
    expect(await reaches(cameras(), pumps(), ...tcp([5000, 22], ACK!))).toBe(true);
  });

  it('what was connected before the first rules is not begun again by its answers', async () => {
    expect(await reaches(cameras(), pumps(), ...tcp([5000, 22]))).toBe(true);
    await set(PLANT, { action: 'deny', protocol: 'tcp', ...port(22) });
    await reaches(pumps(), cameras(), ...tcp([22, 5000], ACK!));
    expect(await reaches(cameras(), pumps(), ...tcp([5000, 22], ACK!))).toBe(false);
    expect(await reaches(pumps(), cameras(), ...tcp([22, 5000], RST!))).toBe(true);
  });

  it('fragments pass with the first one that did, else only if everything does', async () => {
    await set(PLANT, { action: 'allow', protocol: 'udp', ...port(53) }, { action: 'deny' });
    const first = (id: number, to: number) => fragment(UDP!, 0, true, id, udpTo([9, to], 8));
    const later = (id: number) => fragment(UDP!, 2, false, id, new Uint8Array(16));
    expect(await reaches(cameras(), pumps(), FRAGMENT!, later(1))).toBe(false);
    expect(await reaches(cameras(), pumps(), FRAGMENT!, first(1, 53))).toBe(true);
    expect(await reaches(cameras(), pumps(), FRAGMENT!, later(1))).toBe(true);
    expect(await reaches(cameras(), pumps(), FRAGMENT!, first(2, 54))).toBe(false);
    expect(await reaches(cameras(), pumps(), FRAGMENT!, later(2))).toBe(false);
    // Newer rules ask again.
    await set(PLANT, { action: 'deny', protocol: 'udp', ...port(53) });
    expect(await reaches(cameras(), pumps(), FRAGMENT!, later(1))).toBe(false);
    expect(drops()).toEqual({ refused: 4 });
  });

  it('what is cut off or hides where it goes is not taken for something that may pass', async () => {
    await set(PLANT, { action: 'allow', protocol: 'tcp', ...port(80) }, { action: 'deny' });
    const behind = (segments: number) =>
      concat(Uint8Array.of(TCP!, 0, 0, segments), new Uint8Array(4), tcpTo([9, 80], SYN!));
    expect(await reaches(cameras(), pumps(), 43, behind(0))).toBe(true);
    expect(await reaches(cameras(), pumps(), 43, behind(1))).toBe(false);
    expect(drops()).toEqual({ refused: 1 });
    expect(await reaches(cameras(), pumps(), TCP!, tcpTo([9, 80], SYN!).subarray(0, 19))).toBe(false);
    expect(await reaches(cameras(), pumps(), 60, Uint8Array.of(TCP!, 9, 0, 0, 0, 0, 0, 0))).toBe(false);
    expect(await reaches(cameras(), pumps(), FRAGMENT!, fragment(TCP!, 0, true, 3, new Uint8Array(8)))).toBe(
      false,
    );
    expect(drops()).toEqual({ refused: 1, malformed: 3 });
  });

  it('rules count what they have decided on, and go on counting when others change', async () => {
    const [web] = await set(
      PLANT,
      { action: 'allow', protocol: 'tcp', ...port(80) },
      { action: 'deny', direction: 'out' },
    );
    expect(await reaches(cameras(), pumps(), ...tcp([5000, 80]))).toBe(false);
    expect([...router.ruleCounts(PLANT).values()]).toEqual([
      { packets: 0, bytes: 0 },
      { packets: 1, bytes: 60 },
    ]);
    await set(PLANT);
    expect(router.ruleCounts(PLANT).size).toBe(0);
    const [again] = await set(PLANT, { action: 'allow', protocol: 'tcp', ...port(80) });
    expect(again!.id).not.toBe(web!.id);
    for (const flags of [SYN!, ACK!]) await reaches(cameras(), pumps(), ...tcp([5000, 80], flags));
    await reaches(pumps(), cameras(), ...tcp([80, 5000], ACK!));
    expect(router.ruleCounts(PLANT).get(again!.id)).toEqual({ packets: 3, bytes: 180 });
    expect(router.rules).toBe(1);
    expect(routerMetrics(router)).toContain('enf_router_rules 1\n');
  });

  it('rules that cannot be read change nothing, which is said, until they can', async () => {
    await set(PLANT, { action: 'deny', protocol: 'tcp', ...port(22) });
    registry.broken = true;
    await registry.setRules(PLANT, { action: 'deny', protocol: 'tcp', ...port(23) });
    await expect(router.settled()).rejects.toMatchObject({ code: 'router.rules-unread', remedy: 'retry' });
    expect(await reaches(cameras(), pumps(), ...tcp([1, 22]))).toBe(false);
    expect(await reaches(cameras(), pumps(), ...tcp([1, 23]))).toBe(true);
    registry.broken = false;
    await router.settled();
    expect(await reaches(cameras(), pumps(), ...tcp([2, 22]))).toBe(true);
    expect(await reaches(cameras(), pumps(), ...tcp([2, 23]))).toBe(false);
  });

  it('a packet that waits for the registry waits for the rules, too', async () => {
    await set(PLANT, {
      action: 'deny',
      direction: 'out',
      other: { kind: 'group', gid: PUMPS, network: PLANT },
    });
    const late = await makeDevice('fd00:1::d');
    admission.set(late, 'active', 'fd00:1::/64', { gid: PUMPS });
    cameraPeer.send(ipv6(camera.address, late.address, ...udp([1, 2])));
    await flushed(cameraPeer, camera);
    const peer = await admitted(router, late, manner);
    expect(await reaches(cameras(), [peer, late], ...udp([1, 2]))).toBe(false);
    expect(packets(peer)).toEqual([]);
  });
});

describe('a burst', () => {
  it('is judged as its packets would be, and counted as many', async () => {
    const [admission, registry] = [fakeAdmission(), fakeRules([PLANT, OFFICE])];
    const router = await testRouter(admission, { networks: registry, rules: registry });
    try {
      const [a, b] = await activeDevices(admission, 'fd00:1::a', 'fd00:1::b');
      const sender = await admitted(router, a, { alpn: [ALPN_SUPER] });
      const receiver = await admitted(router, b);
      const [open] = await registry.setRules(
        PLANT,
        { action: 'allow', protocol: 'udp', ports: { first: 7, last: 7 } },
        { action: 'deny' },
      );
      await router.settled();
      const burst = (to: number): Uint8Array => {
        const packet = ipv6(a.address, b.address, 17, udpTo([9, to], 4_800));
        return concat(u16(packet.length + 4), Uint8Array.of(0xe1, 5), u16(1_200), packet);
      };
      sender.tls.write(concat(burst(8), burst(7)));
      await until(() => receiver.received.length === 4);
      for (const packet of receiver.received) expect(toHex(packet.subarray(42, 44))).toBe('0007');
      expect(router.counters().drops.refused).toBe(1);
      expect(router.ruleCounts(PLANT).get(open!.id)).toMatchObject({ packets: 4 });
    } finally {
      await router.close();
    }
  });
});
