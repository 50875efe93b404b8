import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { routerMetrics } from '../../../../fabric/metrics/router.ts';
import type { Router } from '../../../../fabric/router/router.ts';
import { concat, fromHex, toHex, u16 } from '../../../../protocol/bytes.ts';
import { formatIpv6, parseIpv6, parsePrefix } from '../../../../protocol/ipv6.ts';
import { ingressCases } from '../../../protocol/tunnel/ingress.ts';
import { udp } from '../../packets.ts';
import {
  activeDevice,
  admitted,
  type Device,
  type FakeTun,
  fakeAdmission,
  fakeTun,
  OURS,
  type Peer,
  testRouter,
  until,
} from '../fixture.ts';
import { type FakeNetworks, fakeNetworks } from './fake-networks.ts';

const OUTSIDE = parseIpv6('2001:db8::1');

describe('[H-A5] from the TUN, the host’s side', () => {
  let tun: FakeTun;
  let router: Router;
  let networks: FakeNetworks;
  let device: Device;
  let peer: Peer;
  const admission = fakeAdmission();

  const begin = async (offload: 0 | 1 = 0): Promise<void> => {
    tun = fakeTun(offload);
    networks = fakeNetworks(['fd00:1::/64', 'fd00:2::/64'].map(parsePrefix));
    router = await testRouter(admission, { tun, networks: networks.source });
    device = await activeDevice(admission, 'fd00:1::a');
    peer = await admitted(router, device, OURS);
    await until(() => peer.controls.length === 1);
  };
  const dropped = (cause: string): number => router.counters().drops[cause as 'spoofed'];
  let marker = 99;
  /** What arrives of these packets: an honest one behind them, another each time, tells that all were looked at. */
  const arriving = async (...packets: readonly Uint8Array[]): Promise<string[]> => {
    const before = peer.received.length;
    const last = udp(OUTSIDE, device.address, marker++);
    tun.deliver(...packets, last);
    await until(() => toHex(peer.received.at(-1) ?? new Uint8Array()) === toHex(last));
    return peer.received.slice(before, -1).map(toHex);
  };

  beforeEach(() => begin());
  afterEach(async () => {
    await router.close();
    tun.remove();
  });

  test.each([
    ['a device of the same network', 'fd00:1::b'],
    ['the device itself', 'fd00:1::a'],
    ['a device of another network', 'fd00:2::c'],
    ['what the operator keeps', 'fd00:1::2'],
    ['the subnet-router anycast address', 'fd00:1::'],
    ['another address that ends like the host’s', 'fd00:1:0:0:1::1'],
  ])('nothing arrives in the name of %s', async (_, forged) => {
    const honest = udp(parseIpv6('fd00:1::1'), device.address, 7);
    expect(await arriving(udp(parseIpv6(forged), device.address), honest)).toEqual([toHex(honest)]);
    expect(dropped('host-spoofed')).toBe(1);
    expect(dropped('spoofed')).toBe(0);
    expect(routerMetrics(router)).toContain('enf_router_dropped_total{cause="host-spoofed"} 1\n');
  });

  test('the host arrives by its address in each network, and others by theirs', async () => {
    const packets = ['fd00:1::1', 'fd00:2::1', '2001:db8::1', 'fd00:3::b'].map((from, i) =>
      udp(parseIpv6(from), device.address, i),
    );
    expect(await arriving(...packets)).toEqual(packets.map(toHex));
    expect(dropped('host-spoofed')).toBe(0);
  });

  test('a network that is added protects its devices, too', async () => {
    const forged = udp(parseIpv6('fd00:3::b'), device.address);
    expect(await arriving(forged)).toHaveLength(1);
    await networks.tell(parsePrefix('fd00:3::/64'));
    expect(await arriving(forged)).toEqual([]);
    expect(dropped('host-spoofed')).toBe(1);
  });

  test('nothing arrives that never leaves a link', async () => {
    const own = device.address;
    const cases = ingressCases(own, OUTSIDE).filter(
      ([name, , packet]) => packet[0]! >> 4 === 6 && name !== 'the router’s answer to a ping',
    );
    const passing = cases.filter(([, passes]) => passes).map(([, , packet]) => toHex(packet));
    expect(await arriving(...cases.map(([, , packet]) => packet))).toEqual(passing);
    expect(dropped('host-spoofed') + dropped('malformed')).toBe(cases.length - passing.length);
    const answer = ingressCases(own, OUTSIDE).find(([name]) => name === 'the router’s answer to a ping')!;
    expect(await arriving(answer[2])).toEqual([]);
  });

  test('a burst for segmentation in the name of a device does not arrive, an honest one does', async () => {
    await router.close();
    tun.remove();
    await begin(1);
    /** TCP over IPv6 behind a virtio header: 2,800 bytes in segments of 1,400. */
    const burst = (from: string): Uint8Array => {
      const virtio = new Uint8Array(10);
      new DataView(virtio.buffer).setUint16(2, 60, true);
      new DataView(virtio.buffer).setUint16(4, 1400, true);
      new DataView(virtio.buffer).setUint16(6, 40, true);
      new DataView(virtio.buffer).setUint16(8, 16, true);
      virtio.set([1, 4]);
      const tcp = concat(fromHex('0007000700000001000000015010ffff00000000'), new Uint8Array(2800));
      return concat(
        virtio,
        fromHex('60000000'),
        u16(tcp.length),
        Uint8Array.of(6, 64),
        parseIpv6(from),
        device.address,
        tcp,
      );
    };
    tun.deliver(burst('fd00:1::b'), burst('fd00:2::c'), burst('fd00:1::1'));
    await until(() => peer.received.length === 2);
    for (const segment of peer.received) expect(formatIpv6(segment.subarray(8, 24))).toBe('fd00:1::1');
    expect(dropped('host-spoofed')).toBe(2);
  });
});
