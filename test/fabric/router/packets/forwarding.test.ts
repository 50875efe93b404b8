import { afterEach, beforeEach, describe, expect, it, onTestFinished, vi } from 'vitest';
import type { Router } from '../../../../fabric/router/router.ts';
import { addon } from '../../../../native/index.ts';
import { concat, equal, fromHex, toHex } from '../../../../protocol/bytes.ts';
import { formatIpv6, parseIpv6 } from '../../../../protocol/ipv6.ts';
import { encodeFrame } from '../../../../protocol/tunnel/frame.ts';
import { heartbeat } from '../../../../protocol/tunnel/icmp6.ts';
import { ROUTER_ADDRESS } from '../../../../protocol/tunnel/wire.ts';
import { udp } from '../../packets.ts';
import {
  admitted,
  type Device,
  type FakeAdmission,
  type FakeTun,
  fakeAdmission,
  fakeTun,
  makeDevice,
  OURS,
  type Peer,
  testRouter,
  until,
} from '../fixture.ts';

const HOST = parseIpv6('fd00:1::1');

let admission: FakeAdmission;
let tun: FakeTun;
let router: Router;
let a: Device;
let b: Device;
let foreign: Device;
let lines: string[];

beforeEach(async () => {
  admission = fakeAdmission();
  tun = fakeTun();
  lines = [];
  router = await testRouter(admission, { tun, lines, limits: { queueBytes: 128 * 1024, stallMs: 400 } });
  [a, b, foreign] = await Promise.all([
    makeDevice('fd00:1::a'),
    makeDevice('fd00:1::b'),
    makeDevice('fd00:2::c'),
  ]);
  admission.set(a, 'active');
  admission.set(b, 'active');
  admission.set(foreign, 'active', 'fd00:2::/64');
});

afterEach(async () => {
  await router.close();
  tun.remove();
});

/** Resolves once everything that `peer` sent before has been handled. */
async function settled(peer: Peer, device: Device): Promise<void> {
  const before = peer.received.length;
  peer.send(heartbeat(device.address));
  await until(() =>
    peer.received.slice(before).some((packet) => equal(packet.subarray(8, 24), ROUTER_ADDRESS)),
  );
}

function drops(): Record<string, number> {
  return Object.fromEntries(Object.entries(router.counters().drops).filter(([, times]) => times > 0));
}

describe('between devices', () => {
  it('packets of all sizes arrive in order, both ways, however the stream is fragmented', async () => {
    const [peerA, peerB] = [await admitted(router, a), await admitted(router, b, OURS)];
    const flood = (from: Device, to: Device): Uint8Array[] =>
      Array.from({ length: 60 }, (_, i) => udp(from.address, to.address, i, (i * 97) % 1449));
    const write = async (peer: Peer, packets: readonly Uint8Array[], seed: number): Promise<void> => {
      const stream = concat(...packets.map(encodeFrame));
      let state = seed;
      for (let offset = 0; offset < stream.length; ) {
        state = (state * 1103515245 + 12345) % 2 ** 31;
        const size = 1 + (state % 1700);
        await new Promise<void>((done) => peer.tls.write(stream.slice(offset, offset + size), () => done()));
        offset += size;
      }
    };
    const [fromA, fromB] = [flood(a, b), flood(b, a)];
    await Promise.all([write(peerA, fromA, 1), write(peerB, fromB, 2)]);
    await until(() => peerA.received.length === fromB.length && peerB.received.length === fromA.length);
    expect(peerB.received).toEqual(fromA);
    expect(peerA.received).toEqual(fromB);
    expect(drops()).toEqual({});
  });

  it('packets with a spoofed source, for another network, a multicast group or the link are dropped', async () => {
    const [peerA, peerB, peerC] = [
      await admitted(router, a),
      await admitted(router, b),
      await admitted(router, foreign),
    ];
    peerA.send(
      udp(foreign.address, b.address),
      udp(HOST, b.address),
      udp(a.address, foreign.address),
      udp(a.address, parseIpv6('ff02::1')),
      udp(a.address, parseIpv6('fe80::9')),
      fromHex('45000014000000004001000001020304c0a80001'),
      fromHex('f1010000000000'),
    );
    await settled(peerA, a);
    expect(drops()).toEqual({ spoofed: 2, 'foreign-network': 1, unroutable: 2, malformed: 2 });
    const [view] = router.sessions().filter((session) => session.address === a.name);
    expect(view!.counters.drops).toMatchObject({ spoofed: 2, 'foreign-network': 1 });
    await settled(peerB, b);
    await settled(peerC, foreign);
    expect(peerB.received).toHaveLength(1);
    expect(peerC.received).toHaveLength(1);
    expect(tun.written).toEqual([]);
  });

  it('packets for a device without a tunnel are dropped, not sent to the host', async () => {
    const peerA = await admitted(router, a);
    for (let i = 0; i < 3; i++) peerA.send(udp(a.address, b.address));
    // The thread has to ask the registry whose address that is.
    await until(() => drops().offline === 3);
    await settled(peerA, a);
    expect(drops()).toEqual({ offline: 3 });
    expect(tun.written).toEqual([]);
  });

  it('an oversized frame ends the session of its sender only', async () => {
    const [peerA, peerB] = [await admitted(router, a), await admitted(router, b)];
    peerA.tls.write(concat(encodeFrame(udp(a.address, b.address, 7)), fromHex('05d9')));
    expect(await peerA.ending).toEqual({ how: 'orderly' });
    await settled(peerB, b);
    expect(router.sessions().map((session) => session.address)).toEqual([b.name]);
  });

  it('empty frames are ignored', async () => {
    const peer = await admitted(router, a);
    peer.tls.write(fromHex('0000000000'));
    peer.tls.write(concat(fromHex('00'), encodeFrame(heartbeat(a.address))));
    await until(() => peer.received.length === 1);
    expect(drops()).toEqual({});
  });

  it('a device that reads nothing loses packets and at last its session; the sender is not delayed', async () => {
    const [peerA, peerB] = [await admitted(router, a), await admitted(router, b)];
    peerB.tls.pause();
    const burst = Array.from({ length: 200 }, () => udp(a.address, b.address, 1, 1400));
    const stuck = () => router.sessions().find((session) => session.address === b.name);
    for (let view = stuck(); view !== undefined; view = stuck()) {
      expect(view.queuedBytes).toBeLessThanOrEqual(128 * 1024);
      peerA.send(...burst);
      await settled(peerA, a);
    }
    expect(drops()['queue-full']).toBeGreaterThan(0);
    await settled(peerA, a);
    peerB.raw.destroy();
  });
});

describe('a packet that waits for the registry', () => {
  /** Holds back the registry's answers. */
  function askedInVain(): { mock: { calls: unknown[][] } } {
    const answer = vi.spyOn(addon(), 'routerAnswer').mockImplementation(() => {});
    onTestFinished(() => answer.mockRestore());
    return answer;
  }

  it('is sent to a device that connects meanwhile, before all others', async () => {
    const answer = askedInVain();
    const peerA = await admitted(router, a);
    const early = [1, 2, 3].map((mark) => udp(a.address, b.address, mark));
    peerA.send(...early);
    await until(() => answer.mock.calls.length === 1);
    await settled(peerA, a);
    const peerB = await admitted(router, b);
    const late = udp(a.address, b.address, 4);
    peerA.send(late);
    await until(() => peerB.received.length === 4);
    expect(peerB.received).toEqual([...early, late]);
    expect(drops()).toEqual({});
  });

  it('is not sent to a device of another network', async () => {
    const answer = askedInVain();
    const peerA = await admitted(router, a);
    peerA.send(udp(a.address, foreign.address));
    await until(() => answer.mock.calls.length === 1);
    await settled(peerA, a);
    const stranger = await admitted(router, foreign);
    await until(() => drops()['foreign-network'] === 1);
    expect(stranger.received).toEqual([]);
  });

  it('is dropped when its sender disconnects', async () => {
    const answer = askedInVain();
    const peerA = await admitted(router, a);
    peerA.send(udp(a.address, b.address));
    await until(() => answer.mock.calls.length === 1);
    await settled(peerA, a);
    peerA.close();
    await until(() => router.sessions().length === 0);
    const peerB = await admitted(router, b);
    await settled(peerB, b);
    expect(peerB.received).toHaveLength(1);
  });
});

describe('between devices and the host', () => {
  it('packets pass both ways, in batches', async () => {
    const [peerA, peerC] = [await admitted(router, a, OURS), await admitted(router, foreign)];
    const outside = parseIpv6('2001:db8::1');
    const up = [udp(a.address, HOST, 1), udp(a.address, outside, 2, 1448)];
    peerA.send(...up);
    await until(() => tun.written.length === 2);
    expect(tun.written.map(toHex)).toEqual(up.map(toHex));

    const toA = [udp(HOST, a.address, 3), udp(outside, a.address, 4)];
    const toC = udp(HOST, foreign.address, 5);
    tun.deliver(toA[0]!, toC, toA[1]!);
    await until(() => peerA.received.length === 2 && peerC.received.length === 1);
    expect(peerA.received).toEqual(toA);
    expect(peerC.received).toEqual([toC]);
    expect(router.counters().sent.packets).toBe(3);
    expect(router.counters().received).toEqual({ packets: 2, bytes: up[0]!.length + up[1]!.length });
  });

  it('packets of the host for no device are dropped and counted, and reading goes on', async () => {
    const peer = await admitted(router, a);
    tun.deliver(
      udp(HOST, b.address),
      udp(HOST, parseIpv6('ff02::16')),
      fromHex('4500'),
      udp(HOST, a.address, 1, 1449),
      udp(HOST, a.address, 2, 1448),
    );
    await until(() => peer.received.length === 1);
    expect(peer.received[0]).toHaveLength(1496);
    expect(drops()).toEqual({ offline: 1, unroutable: 1, malformed: 1, 'too-long': 1 });
  });

  it('packets that the kernel refuses are counted at the device that sent them', async () => {
    const peer = await admitted(router, a);
    tun.remove();
    await until(() => lines.some((line) => line.includes('fake0 was removed')));
    peer.send(udp(a.address, HOST), udp(a.address, HOST));
    await until(() => drops()['tun-refused'] === 2);
    peer.send(udp(a.address, HOST));
    await settled(peer, a);
    expect(router.sessions()[0]!.counters.drops['tun-refused']).toBe(3);
  });

  it('no packet passes if the router has no TUN', async () => {
    const alone = await testRouter(admission);
    try {
      const peer = await admitted(alone, a);
      peer.send(udp(a.address, HOST));
      await until(() => alone.counters().drops['no-tun'] === 1);
    } finally {
      await alone.close();
    }
  });

  it('packets for an unassigned address, a multicast group, the link or the host itself are dropped', async () => {
    const peer = await admitted(router, a);
    const nowhere = ['ff02::1', 'ff0e::1', 'fe80::2', 'febf::1', '::1', '::'];
    const somewhere = ['fec0::1', '::2', '100::'];
    peer.send(...[...nowhere, ...somewhere].map((text) => udp(a.address, parseIpv6(text))));
    peer.send(udp(a.address, ROUTER_ADDRESS));
    await until(() => tun.written.length === somewhere.length);
    expect(tun.written.map((packet) => formatIpv6(packet.subarray(24, 40)))).toEqual(somewhere);
    expect(drops()).toEqual({ unroutable: nowhere.length + 1 });
  });

  it('the registry is asked once for an address, until that changes', async () => {
    const asked: string[] = [];
    const { lookup } = admission;
    admission.lookup = function (address) {
      asked.push(formatIpv6(address));
      return lookup.call(this, address);
    };
    const peer = await admitted(router, a);
    const newcomer = await makeDevice('fd00:1::d');
    const send = async (times: number): Promise<void> => {
      for (let i = 0; i < 3; i++) peer.send(udp(a.address, newcomer.address));
      await until(() => tun.written.length + (drops().offline ?? 0) === times);
    };
    await send(3);
    await send(6);
    expect(asked.filter((name) => name === newcomer.name)).toHaveLength(1);
    expect(tun.written).toHaveLength(6);
    admission.set(newcomer, 'active');
    await send(9);
    expect(asked.filter((name) => name === newcomer.name)).toHaveLength(2);
    expect(tun.written).toHaveLength(6);
  });

  it('after changes were missed the registry is asked about every address again, by every thread', async () => {
    const [one, other] = [await admitted(router, a), await admitted(router, b)];
    const newcomer = await makeDevice('fd00:1::d');
    const send = async (): Promise<void> => {
      const before = tun.written.length + (drops().offline ?? 0);
      one.send(udp(a.address, newcomer.address));
      other.send(udp(b.address, newcomer.address));
      await until(() => tun.written.length + (drops().offline ?? 0) === before + 2);
    };
    const asked = (): number => admission.asked.filter((name) => name === toHex(newcomer.address)).length;
    await send();
    const before = asked();
    admission.unheard(() => admission.set(newcomer, 'active'));
    await send();
    expect(asked()).toBe(before);
    expect(tun.written).toHaveLength(4);
    await admission.missed();
    await send();
    expect(asked()).toBe(2 * before);
    expect(tun.written).toHaveLength(4);
    expect(drops()).toEqual({ offline: 2 });
  });

  it('no packet goes to the host while the registry fails, and it is asked again', async () => {
    const peer = await admitted(router, a);
    admission.broken = true;
    peer.send(udp(a.address, HOST));
    await until(() => drops().offline === 1);
    admission.broken = false;
    peer.send(udp(a.address, HOST));
    await until(() => tun.written.length === 1);
  });
});
