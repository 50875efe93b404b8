import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { primitives } from '../../../crypto/primitives.ts';
import { concat, fromHex, toHex } from '../../../protocol/bytes.ts';
import {
  decodeG1,
  decodeG2,
  decodeScalar,
  decodeSecret,
  drawScalar,
  encodeG1,
  encodeG2,
  encodeScalar,
} from '../../../protocol/crypto/encoding.ts';
import { Fp2, G1, G2, n, p } from '../../../protocol/crypto/fp256bn.ts';
import { refusal } from '../../refusals.ts';
import { altered, replay, vectors } from './vectors.ts';

const scalar = fc.bigInt({ min: 1n, max: n - 1n });

describe('scalars', () => {
  it.each(vectors.random_mod_order)('are drawn as recorded: $scalar', ({ draw, scalar }) => {
    expect(toHex(encodeScalar(drawScalar(replay([draw]))))).toBe(scalar);
  });

  it('are drawn again if the result is zero', () => {
    const zero = '00'.repeat(65);
    const one = `${'00'.repeat(63)}8000`;
    expect(drawScalar(replay([zero, one]))).toBe(1n);
  });

  it('leave no random draw in memory', () => {
    const draw = new Uint8Array(65).fill(3);
    drawScalar({ random: () => draw });
    expect(draw).toEqual(new Uint8Array(65));
  });

  it('are accepted below the group order only, at 32 bytes only', () => {
    expect(decodeScalar(encodeScalar(n - 1n))).toBe(n - 1n);
    expect(decodeScalar(new Uint8Array(32))).toBe(0n);
    expect(refusal(() => decodeScalar(encodeScalar(n)))).toBe('ecdaa.bad-scalar');
    expect(refusal(() => decodeScalar(new Uint8Array(31)))).toBe('ecdaa.bad-scalar');
    expect(refusal(() => decodeScalar(new Uint8Array(33)))).toBe('ecdaa.bad-scalar');
    expect(refusal(() => decodeSecret(new Uint8Array(32)))).toBe('ecdaa.bad-scalar');
  });

  it('re-encode to themselves, or are refused', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 30, maxLength: 34 }), (bytes) => {
        const refused = refusal(() => expect(encodeScalar(decodeScalar(bytes))).toEqual(bytes));
        expect(['accepted', 'ecdaa.bad-scalar']).toContain(refused);
      }),
    );
  });
});

describe('G1 points', () => {
  it.each(vectors.point_deserialize)('$case is accepted as the C library does (rc $rc)', ({ bytes, rc }) => {
    expect(refusal(() => decodeG1(fromHex(bytes)))).toBe(rc === 0 ? 'accepted' : 'ecdaa.bad-point');
  });

  it('refuse a coordinate equal to the field order, infinity, and any other length', () => {
    const tag = Uint8Array.of(4);
    const zero = new Uint8Array(32);
    expect(refusal(() => decodeG1(concat(tag, zero, zero)))).toBe('ecdaa.bad-point');
    expect(refusal(() => decodeG1(concat(tag, encodeScalar(p), zero)))).toBe('ecdaa.bad-point');
    // No point has a y of zero; the curve library says so before it is asked.
    expect(refusal(() => decodeG1(concat(tag, encodeScalar(1n), zero)))).toBe('ecdaa.bad-point');
    const fieldZero = concat(zero, zero);
    expect(refusal(() => decodeG2(concat(tag, encodeScalar(1n), zero, fieldZero)))).toBe('ecdaa.bad-point');
    expect(refusal(() => decodeG1(concat(tag, encodeScalar(1n), encodeScalar(2n), tag)))).toBe(
      'ecdaa.bad-point',
    );
    expect(refusal(() => decodeG1(new Uint8Array(0)))).toBe('ecdaa.bad-point');
    expect(refusal(() => encodeG1(G1.ZERO))).toBe('ecdaa.bad-point');
  });

  it('re-encode to themselves, whichever way they were computed', () => {
    fc.assert(
      fc.property(scalar, (k) => {
        const bytes = encodeG1(G1.BASE.multiplyUnsafe(k));
        expect(encodeG1(decodeG1(bytes))).toEqual(bytes);
      }),
      { numRuns: 30 },
    );
  });

  it('never crash on any bytes, and what is accepted re-encodes to itself', () => {
    const valid = encodeG1(G1.BASE);
    const mutated = fc
      .tuple(fc.nat(64), fc.nat(255))
      .map(([index, byte]) => altered(valid, (copy) => copy.fill(byte, index, index + 1)));
    fc.assert(
      fc.property(fc.oneof(fc.uint8Array({ maxLength: 140, size: 'max' }), mutated), (bytes) => {
        const refused = refusal(() => expect(encodeG1(decodeG1(bytes))).toEqual(bytes));
        expect(['accepted', 'ecdaa.bad-point']).toContain(refused);
      }),
      { numRuns: 500 },
    );
  });
});

describe('G2 points', () => {
  const generator = encodeG2(G2.BASE);

  it('re-encode to themselves', () => {
    expect(encodeG2(decodeG2(generator))).toEqual(generator);
    const bytes = encodeG2(
      G2.BASE.multiplyUnsafe(primitives.random(8).reduce((k, b) => k * 256n + BigInt(b), 1n)),
    );
    expect(encodeG2(decodeG2(bytes))).toEqual(bytes);
  });

  it('on the twist but outside the subgroup are refused', () => {
    let outside = 0;
    for (let real = 1n; outside < 3; real++) {
      const x = Fp2.fromBigTuple([real, 1n]);
      const square = Fp2.add(Fp2.mul(Fp2.sqr(x), x), Fp2.fromBigTuple([3n, 3n]));
      let y: typeof square;
      try {
        y = Fp2.sqrt(square);
      } catch {
        continue;
      }
      const bytes = concat(Uint8Array.of(4), ...[x.c0, x.c1, y.c0, y.c1].map(encodeScalar));
      expect(refusal(() => decodeG2(bytes))).toBe('ecdaa.bad-point');
      outside++;
    }
  });

  it('off the twist, compressed, too short or at infinity are refused', () => {
    expect(refusal(() => decodeG2(altered(generator, (copy) => copy.fill(copy[128]! ^ 1, 128))))).toBe(
      'ecdaa.bad-point',
    );
    expect(refusal(() => decodeG2(altered(generator, (copy) => copy.fill(3, 0, 1))))).toBe('ecdaa.bad-point');
    expect(refusal(() => decodeG2(generator.subarray(0, 128)))).toBe('ecdaa.bad-point');
    expect(refusal(() => decodeG2(altered(generator, (copy) => copy.fill(0, 1))))).toBe('ecdaa.bad-point');
    expect(refusal(() => encodeG2(G2.ZERO))).toBe('ecdaa.bad-point');
  });

  it('never crash on any bytes', () => {
    const mutated = fc
      .tuple(fc.nat(128), fc.nat(255))
      .map(([index, byte]) => altered(generator, (copy) => copy.fill(byte, index, index + 1)));
    fc.assert(
      fc.property(fc.oneof(fc.uint8Array({ maxLength: 140, size: 'max' }), mutated), (bytes) => {
        const refused = refusal(() => expect(encodeG2(decodeG2(bytes))).toEqual(bytes));
        expect(['accepted', 'ecdaa.bad-point']).toContain(refused);
      }),
      { numRuns: 300 },
    );
  });
});
