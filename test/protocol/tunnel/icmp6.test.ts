import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { concat, fromHex, toHex } from '../../../protocol/bytes.ts';
import { formatIpv6, parseIpv6 } from '../../../protocol/ipv6.ts';
import { echoReply, heartbeat, icmp6Checksum, isHeartbeatReply } from '../../../protocol/tunnel/icmp6.ts';
import { parsePacket } from '../../../protocol/tunnel/packet.ts';
import { ROUTER_ADDRESS } from '../../../protocol/tunnel/wire.ts';

/** Captured from enftun (enftun.md §5). */
const OWN = fromHex('e485d8c85fccef1c1407e6a428b8749b');
const HEARTBEAT = fromHex(
  '6000000000083affe485d8c85fccef1c1407e6a428b8749bfe80000000000000000000000000000180005161454e4654',
);

const address = fc.uint8Array({ minLength: 16, maxLength: 16 });

/** An echo request with any identifier, sequence and payload, made independently of the code under test's encoder. */
function request(source: Uint8Array, destination: Uint8Array, rest: Uint8Array): Uint8Array {
  const message = concat(fromHex('80000000'), rest);
  const sum = icmp6Checksum(source, destination, message);
  message[2] = sum >> 8;
  message[3] = sum & 0xff;
  const header = Uint8Array.of(0x60, 0, 0, 0, message.length >> 8, message.length & 0xff, 58, 64);
  return concat(header, source, destination, message);
}

describe('heartbeat', () => {
  it("is enftun's, byte by byte", () => {
    expect(toHex(heartbeat(OWN))).toBe(toHex(HEARTBEAT));
    expect(formatIpv6(ROUTER_ADDRESS)).toBe('fe80::1');
  });

  it('is answered with a reply that the device recognises', () => {
    fc.assert(
      fc.property(address, (own) => {
        const reply = echoReply(heartbeat(own))!;
        expect(reply).toHaveLength(48);
        expect(reply.subarray(44)).toEqual(fromHex('454e4654'));
        expect(isHeartbeatReply(own, reply)).toBe(true);
        expect(isHeartbeatReply(own, heartbeat(own))).toBe(false);
      }),
    );
  });

  it('is not answered by any reply with one byte changed, nor by one for somebody else', () => {
    const reply = echoReply(HEARTBEAT)!;
    const meaningful = Array.from({ length: 48 }, (_, i) => i).filter((i) => i > 3 && i !== 7);
    for (const i of meaningful) {
      const changed = reply.slice();
      changed[i]! ^= 0x01;
      expect(isHeartbeatReply(OWN, changed), `byte ${i}`).toBe(false);
    }
    expect(isHeartbeatReply(parseIpv6('fd00::9'), reply)).toBe(false);
    expect(isHeartbeatReply(OWN, reply.subarray(0, 47))).toBe(false);
  });

  it('cannot be answered by another device of the network', () => {
    const peer = parseIpv6('fd00::2');
    const forged = echoReply(request(OWN, peer, fromHex('454e4654')))!;
    expect(parsePacket(forged)?.source).toEqual(peer);
    expect(isHeartbeatReply(OWN, forged)).toBe(false);
  });
});

describe('echo reply', () => {
  it('keeps identifier, sequence and payload, swaps the addresses and carries its checksum', () => {
    fc.assert(
      fc.property(address, address, fc.uint8Array({ minLength: 4, maxLength: 1448 }), (from, to, rest) => {
        const reply = echoReply(request(from, to, rest))!;
        const parsed = parsePacket(reply)!;
        expect(parsed.source).toEqual(to);
        expect(parsed.destination).toEqual(from);
        expect(parsed.payload[0]).toBe(129);
        expect(parsed.payload.subarray(4)).toEqual(rest);
        expect(icmp6Checksum(parsed.source, parsed.destination, parsed.payload)).toBe(0);
      }),
    );
  });

  it('is not given to a reply, a wrong checksum, another protocol or a torn message', () => {
    expect(echoReply(echoReply(HEARTBEAT)!)).toBeUndefined();
    for (const [offset, value] of [
      [6, 17],
      [41, 1],
      [43, 0],
    ] as const) {
      const changed = HEARTBEAT.slice();
      changed[offset] = value;
      expect(echoReply(changed), `byte ${offset}`).toBeUndefined();
    }
    expect(echoReply(HEARTBEAT.subarray(0, 47))).toBeUndefined();
    expect(echoReply(fromHex('45000014000000004001000001020304050607080800'))).toBeUndefined();
  });

  it('is not given to arbitrary bytes, and none crashes it', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 120 }), (bytes) => {
        expect(echoReply(bytes)).toBeUndefined();
        expect(isHeartbeatReply(OWN, bytes)).toBe(false);
      }),
    );
  });
});
