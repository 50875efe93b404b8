import { describe, expect, test } from 'vitest';
import { concat, readU16, u16 } from '../../../protocol/bytes.ts';
import { ACK, CWR, FIN, ip, out, PSH, pattern, sum, TCP, tcp, UDP, udp, world } from './client-world.ts';

describe('what the host sends', () => {
  for (const version of [6, 4] as const) {
    const l4 = version === 6 ? 40 : 20;
    const gso = version === 6 ? 4 : 1;
    const burst = { flags: 1, gso, segment: 300, start: l4, offset: 16 };
    const payload = pattern(1_000);
    const big = (): Uint8Array =>
      out(TCP, tcp(100, payload, ACK | PSH | FIN | CWR), { version, partial: true });

    test(`a TCP burst over IPv${version} is cut for a C peer as its kernel would`, async () => {
      const { connect, host, frames, counters } = await world({ alpn: [] });
      await connect();
      host(big(), burst);
      const segments = await frames(4);
      const expected = [0, 300, 600, 900].map((at) => {
        const flags = ACK | (at === 0 ? CWR : 0) | (at === 900 ? PSH | FIN : 0);
        const packet = out(TCP, tcp(100 + at, payload.subarray(at, at + 300), flags), { version });
        if (version === 4) {
          packet.set(u16(700 + at / 300), 4);
          packet.set([0, 0], 10);
          packet.set(u16(~sum(packet.subarray(0, 20)) & 0xffff), 10);
        }
        return packet;
      });
      expect(segments).toEqual(expected);
      expect(counters()).toMatchObject({ sentPackets: 4, sentBursts: 1, outMalformed: 0 });
    });

    test(`a TCP burst over IPv${version} travels whole between our own ends`, async () => {
      const { connect, host, frames } = await world();
      await connect();
      host(big(), burst);
      expect(await frames(1)).toEqual([concat(Uint8Array.of(0xe1, gso), u16(300), big())]);
    });

    test(`UDP over IPv${version}: bursts and a checksum that comes to 0`, async () => {
      const { connect, host, frames } = await world({ alpn: ['enf/1'] });
      await connect();
      host(out(UDP, udp(payload), { version, partial: true }), { ...burst, gso: 5, offset: 6 });
      const expected = [0, 300, 600, 900].map((at) =>
        out(UDP, udp(payload.subarray(at, at + 300)), { version }),
      );
      const found = await frames(4);
      if (version === 4) for (const packet of [...found, ...expected]) packet.fill(0, 4, 6).fill(0, 10, 12);
      expect(found).toEqual(expected);
      // The last word makes the sum come out as 0xffff, so that the checksum would be 0, which means "none".
      const even = out(UDP, udp(new Uint8Array(4)), { version });
      const fix = readU16(even, l4 + 6);
      const zero = out(UDP, udp(concat(u16(0), u16(fix))), { version, partial: true });
      host(zero, { flags: 1, start: l4, offset: 6 });
      expect(readU16((await frames(5))[4]!, l4 + 6)).toBe(0xffff);
    });
  }

  test('a burst of more than a super-frame holds is cut; extension headers, too, and nothing is lost of what fits', async () => {
    const { connect, host, frames, counters } = await world();
    await connect();
    const message = tcp(1, pattern(900));
    const extended = out(TCP, message, { partial: true });
    // A destination options header of 8 bytes between IPv6 and TCP.
    const behind = concat(
      extended.subarray(0, 40),
      Uint8Array.of(TCP, 0, 1, 4, 0, 0, 0, 0),
      extended.subarray(40),
    );
    behind[6] = 60;
    behind.set(u16(behind.length - 40), 4);
    host(behind, { flags: 1, gso: 4, segment: 300, start: 48, offset: 16 });
    const segments = await frames(3);
    expect(segments.map((each) => [each[0], each[6], each.length])).toEqual(
      [1, 2, 3].map(() => [0x60, 60, 368]),
    );
    expect(counters().sentPackets).toBe(3);
  });

  test('a corrupted checksum stays as it is', async () => {
    const { connect, host, frames } = await world({ alpn: [] });
    await connect();
    const packet = out(TCP, tcp(1, pattern(50)));
    packet[60]! ^= 1;
    host(packet);
    expect(await frames(1)).toEqual([packet]);
  });

  test('what is too long, malformed or not ours stays, and is counted by cause', async () => {
    const { connect, host, frames, counters } = await world({ alpn: [] });
    await connect();
    host(out(UDP, udp(pattern(1_449)))); // 1497
    host(out(TCP, tcp(1, pattern(3_000)), { partial: true }), {
      flags: 1,
      gso: 4,
      segment: 1_437,
      start: 40,
      offset: 16,
    });
    host(ip(UDP, udp(pattern(9))));
    host(out(UDP, udp(pattern(9))).subarray(0, 56));
    host(out(UDP, udp(pattern(9))), { flags: 1, start: 50, offset: 60 });
    host(out(TCP, tcp(1, pattern(900)), { partial: true }), {
      flags: 1,
      gso: 1,
      segment: 300,
      start: 40,
      offset: 16,
    });
    // Not what the packet itself says, by which the far end goes.
    host(out(TCP, tcp(1, pattern(900)), { partial: true }), {
      flags: 1,
      gso: 5,
      segment: 300,
      start: 40,
      offset: 6,
    });
    const last = out(UDP, udp(pattern(1_448)));
    host(last);
    expect(await frames(1)).toEqual([last]);
    expect(counters()).toMatchObject({ sentPackets: 1, outTooLong: 2, outForeign: 1, outMalformed: 4 });
  });

  for (const alpn of [[], ['enf/2']])
    test(`[H-A8] a burst is in segments of 48 bytes at least (${alpn.join() || 'a C peer'})`, async () => {
      const { connect, host, frames, counters } = await world({ alpn });
      await connect();
      const big = out(UDP, udp(pattern(960)), { partial: true });
      for (const segment of [0, 8, 47]) host(big, { flags: 1, gso: 5, segment, start: 40, offset: 6 });
      host(big, { flags: 1, gso: 5, segment: 48, start: 40, offset: 6 });
      expect((await frames(alpn.length > 0 ? 1 : 20)).length).toBe(alpn.length > 0 ? 1 : 20);
      expect(counters()).toMatchObject({ sentPackets: 20, sentBursts: 1, outMalformed: 3 });
    });
});
