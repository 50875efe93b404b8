import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { concat, fromHex, u16 } from '../../../protocol/bytes.ts';
import { parseIpv6 } from '../../../protocol/ipv6.ts';
import { allowsEgress, allowsIngress } from '../../../protocol/tunnel/firewall.ts';
import { parsePacket } from '../../../protocol/tunnel/packet.ts';
import { ingressCases } from './ingress.ts';

const OWN = parseIpv6('fd00::1');
const PEER = parseIpv6('fd00::2');

function ipv6(source: Uint8Array, destination: Uint8Array, payload = fromHex('aabb'), next = 17): Uint8Array {
  return concat(
    fromHex('60000000'),
    u16(payload.length),
    Uint8Array.of(next, 64),
    source,
    destination,
    payload,
  );
}

/** Version 4, 20-byte header, 1.2.3.4 to 5.6.7.8, protocol 17. */
function ipv4(payload = fromHex('aabb')): Uint8Array {
  return concat(
    fromHex('4500'),
    u16(20 + payload.length),
    fromHex('00000000401100000102030405060708'),
    payload,
  );
}

describe('packet', () => {
  it('of IPv6 is read by its fields', () => {
    expect(parsePacket(ipv6(OWN, PEER))).toEqual({
      version: 6,
      source: OWN,
      destination: PEER,
      nextHeader: 17,
      payload: fromHex('aabb'),
    });
  });

  it('of IPv4 is read by its fields, options skipped', () => {
    expect(parsePacket(ipv4())).toEqual({
      version: 4,
      source: fromHex('01020304'),
      destination: fromHex('05060708'),
      nextHeader: 17,
      payload: fromHex('aabb'),
    });
    const withOptions = concat(fromHex('46000019000000004011000001020304050607080101010199'));
    expect(parsePacket(withOptions)?.payload).toEqual(fromHex('99'));
  });

  it('must be exactly as long as it says', () => {
    for (const whole of [ipv6(OWN, PEER), ipv4()]) {
      expect(parsePacket(whole)).toBeDefined();
      expect(parsePacket(whole.subarray(0, -1))).toBeUndefined();
      expect(parsePacket(concat(whole, fromHex('00')))).toBeUndefined();
    }
  });

  it('of IPv4 must have a header of 20 bytes or more within its length', () => {
    for (const first of [0x40, 0x44, 0x4f]) {
      const changed = ipv4();
      changed[0] = first;
      expect(parsePacket(changed)).toBeUndefined();
    }
  });

  it('of any other version is none, and no bytes crash the reader', () => {
    expect(parsePacket(new Uint8Array(0))).toBeUndefined();
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 100 }), (bytes) => {
        const parsed = parsePacket(bytes);
        if (parsed !== undefined) {
          expect(bytes[0]! >> 4).toBe(parsed.version);
          expect(parsed.source).toHaveLength(parsed.version === 6 ? 16 : 4);
        }
      }),
    );
  });

  it('of IPv6 re-encodes to itself', () => {
    fc.assert(
      fc.property(
        fc.uint8Array({ minLength: 16, maxLength: 16 }),
        fc.uint8Array({ minLength: 16, maxLength: 16 }),
        fc.uint8Array({ maxLength: 1456 }),
        fc.nat(255),
        (source, destination, payload, next) => {
          const bytes = ipv6(source, destination, payload, next);
          const parsed = parsePacket(bytes)!;
          expect(ipv6(parsed.source, parsed.destination, parsed.payload, parsed.nextHeader)).toEqual(bytes);
        },
      ),
    );
  });
});

describe('firewall', () => {
  it('lets out what has the own source', () => {
    expect(allowsEgress(OWN, ipv6(OWN, PEER))).toBe(true);
    expect(allowsEgress(OWN, ipv6(PEER, OWN))).toBe(false);
    expect(allowsEgress(OWN, ipv6(parseIpv6('fe80::1'), PEER))).toBe(false);
  });

  it('lets in what has the own destination', () => {
    expect(allowsIngress(OWN, ipv6(PEER, OWN))).toBe(true);
    expect(allowsIngress(OWN, ipv6(OWN, PEER))).toBe(false);
    expect(allowsIngress(OWN, ipv6(PEER, parseIpv6('ff02::1')))).toBe(false);
  });

  it('passes IPv4 only if that is allowed, and only whole', () => {
    for (const allows of [allowsEgress, allowsIngress]) {
      expect(allows(OWN, ipv4())).toBe(false);
      expect(allows(OWN, ipv4(), true)).toBe(true);
      expect(allows(OWN, concat(ipv4(), fromHex('00')), true)).toBe(false);
    }
  });

  it('passes nothing that lies about its length, whatever its addresses', () => {
    expect(allowsEgress(OWN, concat(ipv6(OWN, PEER), fromHex('00')))).toBe(false);
    expect(allowsIngress(OWN, ipv6(PEER, OWN).subarray(0, -1))).toBe(false);
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 80 }), (bytes) => {
        expect(allowsEgress(OWN, bytes)).toBe(false);
        expect(allowsIngress(OWN, bytes)).toBe(false);
      }),
    );
  });

  for (const [name, passes, packet] of ingressCases(OWN, PEER)) {
    it(`[H-B3] ${passes ? 'lets in' : 'keeps out'} ${name}`, () => {
      expect(parsePacket(packet)).toBeDefined();
      expect(allowsIngress(OWN, packet, true)).toBe(passes);
    });
  }
});
