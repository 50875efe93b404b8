import { describe, expect, test } from 'vitest';
import { deriveIdentifier, hostAddress, isReserved } from '../../../fabric/registry/address.ts';
import { fromHex, toHex } from '../../../protocol/bytes.ts';
import { formatIpv6, parseIpv6 } from '../../../protocol/ipv6.ts';

describe('interface identifiers', () => {
  test('are a function of network, chip and counter', () => {
    const key = new Uint8Array(32).fill(1);
    const pseudonym = new Uint8Array(65).fill(2);
    const first = deriveIdentifier(key, pseudonym, 0);
    // Computed with Python's hmac module.
    expect(toHex(first)).toBe('e52ab1c9ec4999d4');
    expect(deriveIdentifier(key, pseudonym, 1)).not.toEqual(first);
    expect(deriveIdentifier(key.with(0, 9), pseudonym, 0)).not.toEqual(first);
    expect(deriveIdentifier(key, pseudonym.with(0, 9), 0)).not.toEqual(first);
  });

  const cases: [string, boolean][] = [
    ['0000000000000000', true],
    ['000000000000ffff', true],
    ['0000000000010000', false],
    ['02005efffdffffff', false],
    ['02005efffe000000', true],
    ['02005efffe005213', true],
    ['02005efffeffffff', true],
    ['02005effff000000', false],
    ['fdffffffffffff7f', false],
    ['fdffffffffffff80', true],
    ['fdffffffffffffff', true],
    ['fe00000000000000', false],
  ];
  for (const [text, reserved] of cases) {
    test(`${text} is ${reserved ? 'reserved' : 'free'}`, () => {
      expect(isReserved(fromHex(text))).toBe(reserved);
    });
  }

  test('the host is ::1, which no device can get', () => {
    const host = hostAddress(parseIpv6('fd00:1:2:3::'));
    expect(formatIpv6(host)).toBe('fd00:1:2:3::1');
    expect(isReserved(host.subarray(8))).toBe(true);
  });
});
