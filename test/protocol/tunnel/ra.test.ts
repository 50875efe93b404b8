import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { fromHex, toHex } from '../../../protocol/bytes.ts';
import { parseIpv6, parsePrefix } from '../../../protocol/ipv6.ts';
import { checksum6, encodePacket6, parsePacket } from '../../../protocol/tunnel/packet.ts';
import { ALL_ROUTERS, encodeRouterAdvertisement, isRouterSolicitation } from '../../../protocol/tunnel/ra.ts';

const OWN = parseIpv6('e485:d8c8:5fcc:ef1c:1407:e6a4:28b8:749b');

/** What enftun sent for a /36 and "default" (enftun.md §7.1). */
const ENFTUN = [
  '6000000000483aff',
  'fe800000000000000000000000000001',
  'ff020000000000000000000000000001',
  '8600786f0088232800000000000000000501000000000500',
  '18034008ffffffffe485d8c85fccef1c0000000000000000',
  '18032408ffffffff26078f80800000000000000000000000',
].join('');

test("enftun's own bytes", () => {
  const prefixes = [parsePrefix('2607:8f80:8000::/36')];
  const packet = encodeRouterAdvertisement({ own: OWN, mtu: 1280, prefixes, defaultRoute: true });
  expect(toHex(packet)).toBe(ENFTUN);
  const all = [...prefixes, parsePrefix('::/0')];
  expect(toHex(encodeRouterAdvertisement({ own: OWN, mtu: 1280, prefixes: all, defaultRoute: false }))).toBe(
    ENFTUN,
  );
});

test('without a default route the lifetime is 0, and the checksum is always right', () => {
  const prefix = fc
    .tuple(fc.uint8Array({ minLength: 16, maxLength: 16 }), fc.integer({ min: 1, max: 128 }))
    .map(([address, length]) => ({ address, length }));
  fc.assert(
    fc.property(
      fc.uint8Array({ minLength: 16, maxLength: 16 }),
      fc.array(prefix, { maxLength: 30 }),
      fc.boolean(),
      (own, prefixes, defaultRoute) => {
        const packet = encodeRouterAdvertisement({ own, mtu: 1280, prefixes, defaultRoute });
        const { source, destination, payload } = parsePacket(packet)!;
        expect(checksum6(58, source, destination, payload)).toBe(0);
        expect(payload.length).toBe(24 + 24 * (prefixes.length + 1));
        expect([payload[6], payload[7]]).toEqual(defaultRoute ? [0x23, 0x28] : [0, 0]);
      },
    ),
  );
});

describe('solicitations', () => {
  const solicitation = (
    message: string,
    options: { hops?: number; to?: Uint8Array; bad?: boolean } = {},
  ): Uint8Array => {
    const bytes = fromHex(message);
    const source = parseIpv6('fe80::2');
    const to = options.to ?? ALL_ROUTERS;
    const sum = checksum6(58, source, to, bytes) ^ (options.bad ? 1 : 0);
    bytes.set([sum >> 8, sum & 255], 2);
    const packet = encodePacket6(58, source, to, bytes);
    packet[7] = options.hops ?? 255;
    return packet;
  };
  const cases: [string, Uint8Array, boolean][] = [
    ['plain', solicitation('8500000000000000'), true],
    ['with an option', solicitation('85000000000000000101020304050607'), true],
    ['through a router', solicitation('8500000000000000', { hops: 254 }), false],
    ['a wrong checksum', solicitation('8500000000000000', { bad: true }), false],
    ['code 1', solicitation('8501000000000000'), false],
    ['too short', solicitation('85000000'), false],
    ['another type', solicitation('8600000000000000'), false],
    ['to another address', solicitation('8500000000000000', { to: parseIpv6('ff02::1') }), false],
    ['no packet', fromHex('60'), false],
  ];
  for (const [name, packet, yes] of cases) {
    test(name, () => expect(isRouterSolicitation(packet)).toBe(yes));
  }
});
