import { describe, expect, test, vi } from 'vitest';
import { concat, u16, u32 } from '../../../protocol/bytes.ts';
import { ingressCases } from '../../protocol/tunnel/ingress.ts';
import {
  ACK,
  FIN,
  frame,
  ip,
  OWN,
  PEER,
  PSH,
  pattern,
  superFrame,
  TCP,
  tcp,
  UDP,
  udp,
  world,
} from './client-world.ts';

/** With a bit of accurate ECN, which counts what met congestion. */
function counting(message: Uint8Array): Uint8Array {
  message[12]! |= 1;
  return message;
}

describe('what the peer sends', () => {
  for (const version of [6, 4] as const) {
    const l4 = version === 6 ? 40 : 20;

    test(`TCP segments over IPv${version} reach the kernel as one`, async () => {
      const { connect, send, arrives, counters } = await world({ alpn: [] });
      await connect();
      const payload = pattern(1_000);
      const piece = (at: number, flags = ACK): Uint8Array =>
        frame(ip(TCP, tcp(100 + at, payload.subarray(at, at + 300), flags), { version }));
      send(piece(0), piece(300), piece(600), piece(900, ACK | PSH));
      const [joined] = await arrives(1);
      const expected = ip(TCP, tcp(100, payload, ACK | PSH), { version, partial: true });
      expect(joined).toEqual({
        flags: 1,
        gso: version === 6 ? 4 : 1,
        headers: l4 + 20,
        segment: 300,
        start: l4,
        offset: 16,
        packet: expected,
      });
      expect(counters()).toMatchObject({ receivedPackets: 4, coalescedPackets: 4, tunWrites: 1 });
    });

    test(`UDP over IPv${version}: datagrams of one size are joined, a shorter one is the last`, async () => {
      const { connect, send, arrives } = await world();
      await connect();
      const sizes = [200, 200, 90, 200];
      send(...sizes.map((size, i) => frame(ip(UDP, udp(pattern(size, i)), { version }))));
      const [joined, alone] = await arrives(2);
      const payload = concat(pattern(200, 0), pattern(200, 1), pattern(90, 2));
      expect(joined).toMatchObject({
        flags: 1,
        gso: 5,
        segment: 200,
        packet: ip(UDP, udp(payload), { version, partial: true }),
      });
      expect(alone).toMatchObject({ flags: 0, gso: 0, packet: ip(UDP, udp(pattern(200, 3)), { version }) });
    });

    test(`a super-frame over IPv${version} is given to the kernel, and cut by us where that cannot`, async () => {
      const whole = await world();
      await whole.connect();
      const packet = ip(TCP, tcp(1, pattern(900)), { version, partial: true });
      whole.send(superFrame(packet, version === 6 ? 4 : 1, 300));
      expect(await whole.arrives(1)).toEqual([
        {
          flags: 1,
          gso: version === 6 ? 4 : 1,
          headers: l4 + 20,
          segment: 300,
          start: l4,
          offset: 16,
          packet,
        },
      ]);
      const without = await world({ offload: 1 });
      await without.connect();
      without.send(superFrame(ip(UDP, udp(pattern(900)), { version, partial: true }), 5, 300));
      const pieces = (await without.arrives(3)).map((each) => each.packet);
      if (version === 4) for (const piece of pieces) piece.fill(0, 4, 6).fill(0, 10, 12);
      const expected = [0, 300, 600].map((at) => ip(UDP, udp(pattern(300, at)), { version }));
      if (version === 4) for (const piece of expected) piece.fill(0, 4, 6).fill(0, 10, 12);
      expect(pieces).toEqual(expected);
    });
  }

  test('nothing is joined that differs: flags, order, options, class, ports, or a wrong checksum, which stays wrong', async () => {
    const { connect, send, arrives, counters } = await world({ alpn: [] });
    await connect();
    const payload = pattern(100);
    const wrong = ip(TCP, tcp(200, payload));
    wrong[80]! ^= 1;
    const packets = [
      ip(TCP, tcp(100, payload)),
      wrong,
      ip(TCP, tcp(300, payload)),
      ip(TCP, tcp(500, payload)),
      ip(TCP, tcp(600, payload, ACK | FIN)),
      ip(TCP, tcp(700, payload), { trafficClass: 2 }),
      ip(TCP, tcp(800, payload)),
      ip(TCP, tcp(900, payload, ACK, 8)),
      ip(TCP, tcp(1_000, payload, ACK, 9)),
      ip(TCP, counting(tcp(1_100, payload, ACK, 9))),
    ];
    send(...packets.map(frame));
    const found = await arrives(packets.length);
    expect(found.every(({ flags, gso }) => flags === 0 && gso === 0)).toBe(true);
    const key = (packet: Uint8Array): string => Buffer.from(packet).toString('hex');
    expect(found.map(({ packet }) => key(packet)).sort()).toEqual(packets.map(key).sort());
    expect(counters().coalescedPackets).toBe(0);
  });

  /** TCP that only acknowledges, up to `number`. */
  const acknowledge = (
    number: number,
    options: Uint8Array = new Uint8Array(0),
    flags = ACK,
    sequence = 100,
  ): Uint8Array => {
    const header = tcp(sequence, options, flags);
    header.set(u32(number), 8);
    header[12] = (20 + options.length) << 2;
    return header;
  };
  const time = (at: number): Uint8Array => concat(Uint8Array.of(1, 1, 8, 10), u32(at), u32(at));

  for (const version of [6, 4] as const) {
    test(`of TCP acknowledgements over IPv${version} that come together the last one is enough`, async () => {
      const { connect, send, arrives, counters } = await world({ alpn: [] });
      await connect();
      const numbers = [0xffffff00, 0xffffffff, 0, 700];
      const packets = numbers.map((number, i) => ip(TCP, acknowledge(number, time(i)), { version }));
      const other = ip(TCP, tcp(1, pattern(10), ACK, 8), { version });
      send(...[...packets, other].map(frame));
      expect((await arrives(2)).map(({ flags, packet }) => [flags, packet])).toEqual([
        [0, packets.at(-1)],
        [0, other],
      ]);
      expect(counters()).toMatchObject({ receivedPackets: 2, supersededAcks: 3, coalescedPackets: 0 });
    });
  }

  test('an acknowledgement that says anything else is let through, and so is the one before it', async () => {
    const { connect, send, arrives, counters } = await world({ alpn: [] });
    await connect();
    const selective = concat(Uint8Array.of(1, 1, 5, 10), u32(900), u32(990));
    const wrong = ip(TCP, acknowledge(45));
    wrong[57]! ^= 1;
    const packets = [
      ip(TCP, acknowledge(10)),
      ip(TCP, acknowledge(10)), // the same again: TCP counts them
      ip(TCP, acknowledge(5)), // older
      ip(TCP, acknowledge(20, selective)),
      ip(TCP, acknowledge(30, selective)),
      ip(TCP, acknowledge(40)),
      wrong, // stays wrong
      ip(TCP, acknowledge(50)),
      ip(TCP, acknowledge(60), { trafficClass: 3 }),
      ip(TCP, acknowledge(70)),
      ip(TCP, acknowledge(80, undefined, ACK | 0x40)), // congestion was met
      ip(TCP, counting(acknowledge(85))),
      ip(TCP, acknowledge(90)),
      ip(TCP, acknowledge(92, undefined, ACK, 101)), // something was sent in between
      ip(TCP, acknowledge(95, undefined, ACK | FIN, 101)),
      ip(TCP, concat(acknowledge(97, undefined, ACK, 102), pattern(9))),
      ip(TCP, acknowledge(97, undefined, ACK, 111)),
      ip(TCP, acknowledge(99, time(1), ACK, 111)),
    ];
    send(...packets.map(frame));
    const found = await arrives(packets.length);
    expect(found.map(({ flags, gso, packet }) => [flags, gso, packet])).toEqual(
      packets.map((packet) => [0, 0, packet]),
    );
    expect(counters().supersededAcks).toBe(0);
  });

  test('fragments, extension headers and ICMP go straight through, in order', async () => {
    const { connect, send, arrives } = await world();
    await connect();
    const six = (next: number, body: Uint8Array): Uint8Array =>
      concat(u32(0x60000000), u16(body.length), Uint8Array.of(next, 64), PEER, OWN, body);
    const fragment = six(44, concat(Uint8Array.of(TCP, 0, 0, 1, 0, 0, 0, 9), pattern(80)));
    const options = six(0, concat(Uint8Array.of(TCP, 0, 1, 4, 0, 0, 0, 0), tcp(1, pattern(60))));
    const icmp = six(58, pattern(64));
    const four = ip(UDP, udp(pattern(64)), { version: 4 });
    four[6] = 0x20; // more fragments
    const packets = [fragment, fragment, options, options, icmp, four, four];
    send(...packets.map(frame));
    expect((await arrives(7)).map(({ packet, flags }) => [flags, packet])).toEqual(
      packets.map((each) => [0, each]),
    );
  });

  test('a liar is heard out, and nothing of what it says reaches the kernel', async () => {
    const { connect, send, arrives, counters } = await world();
    await connect();
    const good = ip(TCP, tcp(1, pattern(900)), { partial: true });
    const short = good.slice();
    short.set(u16(100), 4);
    const lies = [
      superFrame(good, 1, 300), // TCP over IPv4
      superFrame(good, 5, 300), // UDP
      superFrame(good, 9, 300), // unheard of
      superFrame(good, 4, 0),
      superFrame(good, 4, 7),
      superFrame(good, 4, 1_437),
      superFrame(good, 4, 65_535),
      superFrame(good, 4, 300, 0xe0), // not partial
      superFrame(good, 4, 300, 0xe3), // unknown bits
      superFrame(good, 0, 300),
      superFrame(ip(TCP, tcp(1, pattern(1_500)), { partial: true }), 0, 0),
      superFrame(short, 4, 300),
      superFrame(good.subarray(0, 50), 4, 300),
      superFrame(good.subarray(0, 60), 4, 300),
      superFrame(ip(58, tcp(1, pattern(900)), { partial: true }), 4, 300),
      superFrame(new Uint8Array(0), 0, 0),
      frame(Uint8Array.of(0xe1)),
      frame(short),
    ];
    const foreign = superFrame(ip(TCP, tcp(1, pattern(900)), { partial: true, to: PEER }), 4, 300);
    send(...lies, foreign, superFrame(good, 4, 300));
    expect((await arrives(1)).map(({ packet }) => packet)).toEqual([good]);
    expect(counters()).toMatchObject({ inMalformed: lies.length, inForeign: 1, tunWrites: 1 });
  });

  test('on the older wires a super-frame is no packet, and one that is too long ends the connection', async () => {
    const { connect, send, counters, arrives, events } = await world({ alpn: ['enf/1'] });
    await connect();
    const good = ip(TCP, tcp(1, pattern(900)), { partial: true });
    send(superFrame(good, 4, 300), frame(ip(UDP, udp(pattern(5)))));
    await arrives(1);
    expect(counters()).toMatchObject({ inMalformed: 1, tunWrites: 1 });
    send(superFrame(ip(TCP, tcp(1, pattern(1_600)), { partial: true }), 4, 300));
    await vi.waitFor(() => expect(events.at(-1)!.slice(0, 3)).toEqual(['oversized', 1, '1664']), 10_000);
  });

  test('frames may be cut anywhere', async () => {
    const { connect, send, arrives, counters } = await world();
    await connect();
    const packets = [
      ip(UDP, udp(pattern(30))),
      ip(UDP, udp(pattern(20), 8)),
      ip(TCP, tcp(1, pattern(144)), { partial: true }),
    ];
    const stream = concat(
      frame(packets[0]!),
      Uint8Array.of(0, 0),
      frame(packets[1]!),
      superFrame(packets[2]!, 4, 48),
    );
    for (let cut = 1; cut < stream.length; cut++) {
      const records = counters().receivedRecords;
      send(stream.subarray(0, cut));
      await vi.waitFor(() => expect(counters().receivedRecords).toBeGreaterThan(records), {
        timeout: 10_000,
        interval: 1,
      });
      send(stream.subarray(cut));
      const all = await arrives(3 * cut);
      expect(all.slice(3 * cut - 3).map(({ packet }) => packet)).toEqual(packets);
    }
  });
});

describe('[H-B3] what may come from the tunnel', () => {
  test('the same as in TypeScript; the rest is counted and never reaches the kernel', async () => {
    const { connect, send, arrives, counters } = await world({ alpn: [] });
    await connect();
    const cases = ingressCases(OWN, PEER);
    const good = cases.filter(([, passes]) => passes).map(([, , packet]) => packet);
    const bad = cases.filter(([, passes]) => !passes);
    for (const [, , packet] of cases) send(frame(packet));
    send(frame(ip(UDP, udp(pattern(9)))));
    expect((await arrives(good.length + 1)).slice(0, -1).map(({ packet }) => packet)).toEqual(good);
    const { inForeign, inMalformed } = counters();
    expect(inForeign + inMalformed).toBe(bad.length);
    expect(inMalformed).toBe(3);
  });
});
