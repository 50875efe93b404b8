import { p256 } from '@noble/curves/nist.js';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { generateP256, primitives } from '../../../crypto/primitives.ts';
import { ascii, fromHex, toHex } from '../../../protocol/bytes.ts';
import { deterministicSigner, isPublicKey, publicKeyOf } from '../../../protocol/crypto/ecdsa.ts';

describe('deterministicSigner', () => {
  // RFC 6979 A.2.5, curve P-256 with SHA-256.
  const secret = fromHex('c9afa9d845ba75166b5c215767b1d6934e50c3db36e89b127b8a622b120f6721');
  it.each([
    [
      'sample',
      'efd48b2aacb6a8fd1140dd9cd45e81d69d2c877b56aaf991c34d0ea84eaf3716' +
        'f7cb1c942d657c41d436c7a1b6e29f65f3e900dbb9aff4064dc4ab2f843acda8',
    ],
    [
      'test',
      'f1abb023518351cd71d881567b1ea663ed3efcf6c5132b354f28d3b0b7d38367' +
        '019f4113742a2b14bd25926b49c649155f267e60d3814b4c0cc84250e46f0083',
    ],
  ])('gives the published signature of %j, s high or low', (text, signature) => {
    expect(toHex(deterministicSigner(secret)(ascii(text)))).toBe(signature);
  });

  it('signs the same message with the same signature, and others with other valid ones', () => {
    const sign = deterministicSigner(secret);
    fc.assert(
      fc.property(fc.uint8Array(), fc.uint8Array(), (a, b) => {
        fc.pre(toHex(a) !== toHex(b));
        expect(sign(a)).toEqual(sign(a));
        expect(sign(a)).not.toEqual(sign(b));
        expect(primitives.verifyEcdsa(publicKeyOf(secret), a, sign(a))).toBe(true);
        expect(primitives.verifyEcdsa(publicKeyOf(secret), b, sign(a))).toBe(false);
      }),
      { numRuns: 10 },
    );
  });

  it('keeps its own copy of the key', () => {
    const copy = secret.slice();
    const sign = deterministicSigner(copy);
    copy.fill(0);
    expect(sign(ascii('sample'))).toEqual(deterministicSigner(secret)(ascii('sample')));
  });

  it.each([
    ['zero', '00'.repeat(32)],
    ['the order', 'ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551'],
    ['31 bytes', '01'.repeat(31)],
    ['33 bytes', '01'.repeat(33)],
  ])('refuses a private key of %s', (_name, secret) => {
    const failure = expect.objectContaining({ code: 'ecdsa.bad-secret', remedy: 'operator' });
    expect(() => deterministicSigner(fromHex(secret))).toThrow(failure);
    expect(() => publicKeyOf(fromHex(secret))).toThrow(failure);
  });
});

describe('isPublicKey', () => {
  it('distinguishes a point from other bytes', () => {
    const { publicKey } = generateP256();
    expect(isPublicKey(publicKey)).toBe(true);
    expect(isPublicKey(publicKey.with(64, publicKey[64]! ^ 1))).toBe(false);
    expect(isPublicKey(publicKey.with(0, 0x06))).toBe(false);
    expect(isPublicKey(publicKey.slice(0, 64))).toBe(false);
    expect(isPublicKey(new Uint8Array(65))).toBe(false);
    expect(isPublicKey(Uint8Array.of(4, ...new Uint8Array(64).fill(0xff)))).toBe(false);
  });

  it('refuses a coordinate that only fits modulo p', () => {
    // The first point from x = 0 on has so small an x that x + p still has 32 bytes.
    const { Fp } = p256.Point;
    const { a, b } = p256.Point.CURVE();
    const square = (x: bigint): bigint => Fp.create(x * x * x + a * x + b);
    let x = 0n;
    while (Fp.pow(square(x), (Fp.ORDER - 1n) / 2n) !== 1n) x++;
    const point = (x: bigint): Uint8Array =>
      fromHex(`04${[x, Fp.sqrt(square(x))].map((part) => part.toString(16).padStart(64, '0')).join('')}`);
    expect(isPublicKey(point(x))).toBe(true);
    expect(isPublicKey(point(x + Fp.ORDER))).toBe(false);
  });
});
