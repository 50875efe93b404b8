import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Router } from '../../../../fabric/router/router.ts';
import { concat, fromHex, u16 } from '../../../../protocol/bytes.ts';
import { heartbeat } from '../../../../protocol/tunnel/icmp6.ts';
import { ALPN_SUPER } from '../../../../protocol/tunnel/wire.ts';
import { udp } from '../../packets.ts';
import {
  activeDevices,
  admitted,
  type Device,
  type FakeAdmission,
  fakeAdmission,
  type Peer,
  testRouter,
  until,
} from '../fixture.ts';
import { type Bulk, bulk, WIRES } from './bulk.ts';

/** Bytes in each direction, at the same time. More with ENF_BULK_MB=100. */
const BYTES = Number(process.env.ENF_BULK_MB ?? 8) * 1_000_000;

let admission: FakeAdmission;
let router: Router;
let a: Device;
let b: Device;
const ends: Bulk[] = [];

beforeEach(async () => {
  admission = fakeAdmission();
  // Four threads, so that most pairs of connections are on two of them.
  router = await testRouter(admission, { threads: 4 });
  [a, b] = await activeDevices(admission, 'fd00:1::a', 'fd00:1::b');
});

afterEach(async () => {
  for (const end of ends.splice(0)) end.close();
  await router.close();
});

function drops(): Record<string, number> {
  return Object.fromEntries(Object.entries(router.counters().drops).filter(([, times]) => times > 0));
}

describe('bytes arrive as they were sent, both ways at once', () => {
  for (const one of WIRES) {
    for (const other of WIRES.slice(WIRES.indexOf(one))) {
      it(`between ${one} and ${other}`, async () => {
        const left = await bulk(router, a, one);
        const right = await bulk(router, b, other);
        ends.push(left, right);
        await until(() => router.sessions().length === 2);
        const [up, down] = await Promise.all([left.send(right, BYTES), right.send(left, BYTES)]);
        expect({ up: right.digest(), down: left.digest() }).toEqual({ up, down });
        expect([left.wrong(), right.wrong()]).toEqual([0, 0]);
        // Unchanged between two peers with super-frames, segmented for all others.
        expect(left.bursts() > 0).toBe(one === 'enf/2' && other === 'enf/2');
        expect(right.bursts() > 0).toBe(one === 'enf/2' && other === 'enf/2');
        expect(drops()).toEqual({});
      }, 120_000);
    }
  }
});

describe('a peer on enf/2', () => {
  const burst = (packet: Uint8Array, first: number, gso: number, segment: number): Uint8Array =>
    concat(u16(packet.length + 4), Uint8Array.of(first, gso), u16(segment), packet);

  async function settled(peer: Peer, device: Device): Promise<void> {
    const before = peer.received.length;
    peer.send(heartbeat(device.address));
    await until(() => peer.received.length > before);
  }

  it('[H-A8] loses the packets of a super-frame that contradicts itself, whatever the field', async () => {
    const liar = await admitted(router, a, { alpn: [ALPN_SUPER] });
    const victim = await admitted(router, b);
    const packet = udp(a.address, b.address, 1, 4_000);
    const small = udp(a.address, b.address, 1, 100);
    const lies = [
      burst(packet, 0xe0, 5, 1_200), // a burst without partial checksum
      burst(packet, 0xe3, 5, 1_200), // an unknown flag
      burst(packet, 0xe1, 1, 1_200), // the type says TCP over IPv4
      burst(packet, 0xe1, 4, 1_200),
      burst(packet, 0xe1, 9, 1_200),
      burst(packet, 0xe1, 5, 0), // empty segments
      burst(packet, 0xe1, 5, 47), // shorter ones than any kernel sends
      burst(udp(a.address, b.address, 1, 65_531 - 48), 0xe1, 5, 8),
      burst(packet, 0xe1, 5, 1_449), // longer than a frame
      burst(packet, 0xe1, 5, 65_535),
      burst(packet, 0xe0, 0, 0), // too long for one packet
      burst(small, 0xe1, 0, 3), // segments without a type
      burst(small.subarray(0, 60), 0xe1, 0, 0), // the header has another length
      burst(small.subarray(0, 3), 0xe1, 0, 0),
      burst(new Uint8Array(0), 0xe1, 0, 0),
    ];
    liar.tls.write(concat(...lies));
    await settled(liar, a);
    expect(drops()).toEqual({ malformed: lies.length });
    // Wrong sources and destinations are dropped as those in plain frames are.
    const stolen = udp(b.address, a.address, 1, 4_000);
    liar.tls.write(burst(stolen, 0xe1, 5, 1_200));
    liar.tls.write(
      burst(udp(a.address, fromHex('ff020000000000000000000000000001'), 1, 4_000), 0xe1, 5, 1_200),
    );
    await settled(liar, a);
    expect(drops()).toEqual({ malformed: lies.length, spoofed: 1, unroutable: 1 });
    await settled(victim, b);
    expect(victim.received).toHaveLength(1);
  });

  it('[H-A8] may stand for packets of 48 bytes of payload, which a C peer gets one by one', async () => {
    const sender = await admitted(router, a, { alpn: [ALPN_SUPER] });
    const receiver = await admitted(router, b);
    sender.tls.write(burst(udp(a.address, b.address, 1, 48 * 1_250), 0xe1, 5, 48));
    await until(() => receiver.received.length === 1_250);
    expect(new Set(receiver.received.map((packet) => packet.length))).toEqual(new Set([96]));
    expect(drops()).toEqual({});
  });

  it('ends its session with a plain frame of 1,497 bytes, not with a super-frame of 65,535', async () => {
    const peer = await admitted(router, a, { alpn: [ALPN_SUPER] });
    peer.tls.write(burst(udp(a.address, b.address, 1, 65_531 - 48), 0xe1, 5, 1_200));
    await settled(peer, a);
    peer.tls.write(concat(u16(1_497), udp(a.address, b.address, 1, 1_449)));
    expect((await peer.ending).how).toBe('orderly');
  });

  it('may pause anywhere in a frame', async () => {
    const sender = await admitted(router, a, { alpn: [ALPN_SUPER] });
    const receiver = await admitted(router, b);
    const packet = udp(a.address, b.address, 1, 60);
    const stream = concat(u16(packet.length), packet, burst(udp(a.address, b.address, 1, 96), 0xe1, 5, 48));
    for (let at = 1; at < stream.length; at += 1) {
      const before = receiver.received.length;
      sender.tls.write(stream.subarray(0, at));
      await new Promise((resolve) => setImmediate(resolve));
      sender.tls.write(stream.subarray(at));
      await until(() => receiver.received.length === before + 3);
    }
    expect(drops()).toEqual({});
  });
});
