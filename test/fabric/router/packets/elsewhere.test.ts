import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { NewRule } from '../../../../fabric/registry/rules.ts';
import type { Router } from '../../../../fabric/router/router.ts';
import type { RouteSink } from '../../../../fabric/router/session-routes.ts';
import { toHex } from '../../../../protocol/bytes.ts';
import { parseIpv6, parsePrefix } from '../../../../protocol/ipv6.ts';
import { ipv6, type Ports, udp, udpTo } from '../../packets.ts';
import {
  admitted,
  type Device,
  type FakeAdmission,
  type FakeTun,
  fakeAdmission,
  fakeTun,
  HERE,
  makeDevice,
  type Peer,
  testRouter,
  until,
} from '../fixture.ts';
import { type FakeRules, fakeRules } from './fake-networks.ts';

/** Devices of other nodes: the kernel knows the way to them, and their packets come from it. */

const PLANT = parsePrefix('fd00:1::/64');
const OFFICE = parsePrefix('fd00:2::/64');
const POOL = parsePrefix('fd00:9::/48');
const PUMPS = new Uint8Array(32).fill(1);
const CAMERAS = new Uint8Array(32).fill(2);
const [CLERKS, VISITORS] = [new Uint8Array(32).fill(3), new Uint8Array(32).fill(4)];
const SINK: RouteSink = { add: async () => {}, remove: () => {} };

let admission: FakeAdmission;
let tun: FakeTun;
let registry: FakeRules;
let router: Router;
let [pump, camera, far, farPump, clerk, visitor]: [Device, Device, Device, Device, Device, Device] =
  [] as never;
let [pumpPeer, cameraPeer]: [Peer, Peer] = [] as never;
let mark = 1;

/** `pump` and `camera` have tunnels here; `far` is a camera and `farPump` a pump of the same network elsewhere, `clerk` and `visitor` of another one. */
async function begin(routes: RouteSink | undefined): Promise<void> {
  admission = fakeAdmission();
  tun = fakeTun();
  registry = fakeRules([PLANT, OFFICE]);
  await registry.setPool(PLANT, POOL);
  router = await testRouter(admission, {
    ...{ tun, networks: registry, rules: registry, threads: 3 },
    ...(routes !== undefined && { routes, node: HERE }),
  });
  const addresses = ['fd00:1::a', 'fd00:1::b', 'fd00:1::fa', 'fd00:1::fb', 'fd00:2::c', 'fd00:2::d'];
  [pump, camera, far, farPump, clerk, visitor] = (await Promise.all(
    addresses.map((each) => makeDevice(each)),
  )) as [Device, Device, Device, Device, Device, Device];
  for (const [device, gid] of [
    [pump, PUMPS],
    [camera, CAMERAS],
    [far, CAMERAS],
    [farPump, PUMPS],
  ] as const)
    admission.set(device, 'active', 'fd00:1::/64', { gid });
  admission.set(clerk, 'active', 'fd00:2::/64', { gid: CLERKS });
  admission.set(visitor, 'active', 'fd00:2::/64', { gid: VISITORS });
  pumpPeer = await admitted(router, pump);
  cameraPeer = await admitted(router, camera);
}
afterEach(async () => {
  await router.close();
  tun.remove();
});

const drops = (): Record<string, number> =>
  Object.fromEntries(Object.entries(router.counters().drops).filter(([, times]) => times > 0));
const dropped = (): number => Object.values(drops()).reduce((sum, each) => sum + each, 0);
const packet = (from: Device | string, to: Device | string): Uint8Array => {
  const address = (of: Device | string): Uint8Array => (typeof of === 'string' ? parseIpv6(of) : of.address);
  return udp(address(from), address(to), mark++ % 250);
};
const flow = (from: Device, to: Device, ports: Ports): Uint8Array =>
  ipv6(from.address, to.address, 17, udpTo(ports));
/** What the kernel gets of a packet that a device sends; undefined: it was dropped. */
async function leaves(peer: Peer, sent: Uint8Array): Promise<boolean> {
  const [before, lost] = [tun.written.length, dropped()];
  peer.send(sent);
  await until(() => tun.written.length > before || dropped() > lost);
  return tun.written.length > before && toHex(tun.written.at(-1)!) === toHex(sent);
}
/** Whether a packet of the kernel comes to a device. */
async function comes(peer: Peer, sent: Uint8Array): Promise<boolean> {
  const [before, lost] = [peer.received.length, dropped()];
  tun.deliver(sent);
  await until(() => peer.received.length > before || dropped() > lost);
  return peer.received.length > before && toHex(peer.received.at(-1)!) === toHex(sent);
}

describe('without rules', () => {
  beforeEach(() => begin(SINK));

  test('what is for a device that has no tunnel here goes to the kernel, and only within its network', async () => {
    expect(await leaves(pumpPeer, packet(pump, far))).toBe(true);
    expect(await leaves(pumpPeer, packet(pump, 'fd00:9:0:5::1'))).toBe(true);
    expect(drops()).toEqual({});
    expect(await leaves(pumpPeer, packet(pump, clerk))).toBe(false);
    expect(drops()).toEqual({ 'foreign-network': 1 });
  });

  test('what the kernel has of a device of another node comes to those of its network', async () => {
    for (const peer of [pumpPeer, cameraPeer])
      expect(await comes(peer, packet(far, peer === pumpPeer ? pump : camera))).toBe(true);
    expect(await comes(pumpPeer, packet('fd00:9:0:5::1', pump))).toBe(true);
    expect(drops()).toEqual({});
    expect(await comes(pumpPeer, packet(clerk, pump))).toBe(false);
    expect(drops()).toEqual({ 'foreign-network': 1 });
  });

  test('nobody comes from there as a device that is here, or back', async () => {
    expect(await comes(pumpPeer, packet(camera, pump))).toBe(false);
    expect(await comes(pumpPeer, packet(pump, pump))).toBe(false);
    expect(drops()).toEqual({ 'host-spoofed': 2 });
    // The kernel has no route to it, and gives the packet back.
    expect(await comes(pumpPeer, packet(pump, far))).toBe(false);
    expect(drops()).toEqual({ 'host-spoofed': 2, offline: 1 });
  });

  test('those that are here reach each other as ever, and the host is the host', async () => {
    const sent = packet(pump, camera);
    pumpPeer.send(sent);
    await until(() => cameraPeer.received.length > 0);
    expect(cameraPeer.received.map(toHex)).toContain(toHex(sent));
    expect(await leaves(pumpPeer, packet(pump, 'fd00:1::1'))).toBe(true);
    expect(await leaves(pumpPeer, packet(pump, '2001:db8::1'))).toBe(true);
    expect(await comes(pumpPeer, packet('fd00:1::1', pump))).toBe(true);
    expect(drops()).toEqual({});
  });
});

describe('with rules', () => {
  beforeEach(() => begin(SINK));
  const only = (gid: Uint8Array): Partial<NewRule> => ({ other: { kind: 'group', gid } }) as Partial<NewRule>;
  const set = async (...rules: Partial<NewRule>[]): Promise<void> => {
    await registry.setRules(PLANT, ...rules);
    await router.settled();
  };

  test('of a device of another node they know the group', async () => {
    await set(only(CAMERAS), { action: 'deny' });
    expect(await comes(pumpPeer, packet(far, pump))).toBe(true);
    expect(await comes(pumpPeer, packet(far, pump))).toBe(true);
    expect(await comes(pumpPeer, packet(farPump, pump))).toBe(false);
    expect(drops()).toEqual({ refused: 1 });
    // Nobody has the addresses.
    expect(await comes(pumpPeer, packet('fd00:1::99', pump))).toBe(false);
    expect(await comes(pumpPeer, packet('fd00:9:0:5::1', pump))).toBe(false);
    expect(await leaves(pumpPeer, packet(pump, 'fd00:9:0:5::1'))).toBe(false);
    expect(drops()).toEqual({ refused: 1, 'host-spoofed': 2, offline: 1 });
  });

  const delegate = (
    device: Device,
    prefix: string | undefined,
    gid = device === far ? CAMERAS : PUMPS,
  ): void =>
    admission.set(device, 'active', 'fd00:1::/64', {
      gid,
      ...(prefix !== undefined && { delegated: prefix }),
    });

  test('what is behind a device of another node is that device', async () => {
    delegate(far, 'fd00:9:0:5::/64');
    delegate(farPump, 'fd00:9:0:6::/64');
    await set(only(CAMERAS), { ...only(PUMPS), direction: 'out', action: 'deny' }, { action: 'deny' });
    for (const machine of ['fd00:9:0:5::1', 'fd00:9:0:5::', 'fd00:9:0:5:1:2:3:4']) {
      expect(await comes(pumpPeer, packet(machine, pump))).toBe(true);
      expect(await leaves(pumpPeer, packet(pump, machine))).toBe(true);
    }
    // One question for all of it, at each of three threads at most.
    const asked = admission.asked.filter((each) => each.startsWith('fd00000900000005'));
    expect(new Set(asked)).toEqual(new Set([toHex(parseIpv6('fd00:9:0:5::'))]));
    expect(asked.length).toBeLessThanOrEqual(3);
    expect(drops()).toEqual({});
    expect(await comes(pumpPeer, packet('fd00:9:0:6::1', pump))).toBe(false);
    expect(await leaves(pumpPeer, packet(pump, 'fd00:9:0:6::1'))).toBe(false);
    expect(drops()).toEqual({ refused: 2 });
    // A rule that names the device means what is behind it, too.
    await set({ other: { kind: 'device', address: far.address } }, { action: 'deny' });
    expect(await comes(pumpPeer, packet('fd00:9:0:5::2', pump))).toBe(true);
    expect(await comes(pumpPeer, packet('fd00:9:0:6::2', pump))).toBe(false);
    await set({ other: { kind: 'device', address: far.address }, direction: 'out', action: 'deny' });
    expect(await leaves(pumpPeer, packet(pump, 'fd00:9:0:5::3'))).toBe(false);
    expect(await leaves(pumpPeer, packet(pump, 'fd00:9:0:6::3'))).toBe(true);
    expect(drops()).toEqual({ refused: 4 });
  });

  test('a prefix is of the device that has it now', async () => {
    await set(only(CAMERAS), { action: 'deny' });
    let machine = 1;
    // A machine that has not been heard before: what has begun goes on until the rules change.
    const comesFrom = (prefix: string): Promise<boolean> =>
      comes(pumpPeer, packet(`${prefix}${machine++}`, pump));
    // Nobody has it, then a camera, which becomes a pump; then another camera does.
    expect(await comesFrom('fd00:9:0:5::')).toBe(false);
    delegate(far, 'fd00:9:0:5::/64');
    expect(await comesFrom('fd00:9:0:5::')).toBe(true);
    delegate(far, 'fd00:9:0:5::/64', PUMPS);
    expect(await comesFrom('fd00:9:0:5::')).toBe(false);
    delegate(far, undefined);
    delegate(farPump, 'fd00:9:0:5::/64', CAMERAS);
    expect(await comesFrom('fd00:9:0:5::')).toBe(true);
    // It gets another one in its place.
    delegate(farPump, 'fd00:9:0:7::/64', CAMERAS);
    expect(await comesFrom('fd00:9:0:7::')).toBe(true);
    expect(await comesFrom('fd00:9:0:5::')).toBe(false);
    expect(drops()).toEqual({ 'host-spoofed': 2, refused: 1 });
  });

  test('behind devices of another network, too', async () => {
    const clerkPeer = await admitted(router, clerk);
    delegate(far, 'fd00:9:0:5::/64');
    expect(await leaves(clerkPeer, packet(clerk, 'fd00:9:0:5::1'))).toBe(false);
    expect(await comes(clerkPeer, packet('fd00:9:0:5::1', clerk))).toBe(false);
    expect(drops()).toEqual({ 'foreign-network': 2 });
    await set({ other: { kind: 'network', prefix: OFFICE } });
    const there = ipv6(clerk.address, parseIpv6('fd00:9:0:5::1'), 17, udpTo([9, 7]));
    const back = ipv6(parseIpv6('fd00:9:0:5::1'), clerk.address, 17, udpTo([7, 9]));
    expect(await comes(clerkPeer, back)).toBe(false);
    expect(await leaves(clerkPeer, there)).toBe(true);
    expect(await comes(clerkPeer, back)).toBe(true);
    expect(drops()).toEqual({ 'foreign-network': 2, refused: 1 });
  });

  test('also of one that a packet is for', async () => {
    await set({ ...only(PUMPS), direction: 'out', action: 'deny' });
    expect(await leaves(pumpPeer, packet(pump, far))).toBe(true);
    expect(await leaves(pumpPeer, packet(pump, farPump))).toBe(false);
    expect(drops()).toEqual({ refused: 1 });
  });

  test('answers come in, which nothing else does', async () => {
    await set({ action: 'deny' });
    expect(await comes(pumpPeer, flow(far, pump, [7, 9]))).toBe(false);
    expect(await leaves(pumpPeer, flow(pump, far, [9, 7]))).toBe(true);
    expect(await comes(pumpPeer, flow(far, pump, [7, 9]))).toBe(true);
    expect(await comes(pumpPeer, flow(far, pump, [8, 9]))).toBe(false);
    expect(drops()).toEqual({ refused: 2 });
  });

  test('between networks passes what the rules of both let pass, with its answers', async () => {
    await set({ other: { kind: 'network', prefix: OFFICE } });
    expect(await comes(pumpPeer, flow(clerk, pump, [7, 9]))).toBe(true);
    expect(await leaves(pumpPeer, flow(pump, clerk, [9, 7]))).toBe(true);
    expect(drops()).toEqual({});
    await set({ other: { kind: 'group', gid: CLERKS, network: OFFICE } }, { action: 'deny' });
    expect(await comes(pumpPeer, packet(clerk, pump))).toBe(true);
    expect(await comes(pumpPeer, packet(visitor, pump))).toBe(false);
    expect(drops()).toEqual({ refused: 1 });
    // No device has the address, so it comes from none.
    expect(await comes(pumpPeer, packet('fd00:2::99', pump))).toBe(false);
    expect(drops()).toEqual({ refused: 1, 'host-spoofed': 1 });
    await set({ direction: 'out', action: 'deny', other: { kind: 'network', prefix: OFFICE } });
    expect(await leaves(pumpPeer, packet(pump, clerk))).toBe(false);
    await set();
    expect(await comes(pumpPeer, packet(clerk, pump))).toBe(false);
    expect(await leaves(pumpPeer, packet(pump, clerk))).toBe(false);
    expect(drops()).toEqual({ refused: 1, 'host-spoofed': 1, 'foreign-network': 3 });
  });

  test('into a network without rules come answers from another one, and nothing else', async () => {
    const clerkPeer = await admitted(router, clerk);
    await set({ other: { kind: 'network', prefix: OFFICE } });
    expect(await comes(clerkPeer, flow(farPump, clerk, [7, 9]))).toBe(false);
    expect(drops()).toEqual({ refused: 1 });
    expect(await leaves(clerkPeer, flow(clerk, farPump, [9, 7]))).toBe(true);
    expect(await comes(clerkPeer, flow(farPump, clerk, [7, 9]))).toBe(true);
    expect(await comes(clerkPeer, flow(farPump, clerk, [8, 9]))).toBe(false);
    expect(drops()).toEqual({ refused: 2 });
  });

  test('while the registry cannot be asked nothing passes', async () => {
    await set(only(CAMERAS), { action: 'deny' });
    admission.broken = true;
    expect(await comes(pumpPeer, packet(far, pump))).toBe(false);
    expect(await leaves(pumpPeer, packet(pump, far))).toBe(false);
    admission.broken = false;
    expect(await comes(pumpPeer, packet(far, pump))).toBe(true);
    expect(await leaves(pumpPeer, packet(pump, far))).toBe(true);
  });
});

test('a router that is alone gives the kernel nothing of its devices, and takes nothing', async () => {
  await begin(undefined);
  expect(await leaves(pumpPeer, packet(pump, far))).toBe(false);
  expect(await leaves(pumpPeer, packet(pump, 'fd00:9:0:5::1'))).toBe(false);
  expect(await comes(pumpPeer, packet(far, pump))).toBe(false);
  expect(drops()).toEqual({ offline: 2, 'host-spoofed': 1 });
});
