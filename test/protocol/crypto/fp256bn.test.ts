import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { fromHex, toHex } from '../../../protocol/bytes.ts';
import { encodeG1, encodeG2, encodeScalar, toNumber } from '../../../protocol/crypto/encoding.ts';
import {
  Fp,
  Fp12,
  Fr,
  G1,
  G2,
  linesOf,
  n,
  p,
  pairings,
  productIsOne,
} from '../../../protocol/crypto/fp256bn.ts';
import { vectors } from './vectors.ts';

const u = -0x6882f5c030b0a801n;
const number = (hex: string) => toNumber(fromHex(hex));
const anyScalar = fc.bigInt({ min: 0n, max: n - 1n });

describe('FP256BN parameters', () => {
  it('are those of the BN family for u, and of the recorded curve', () => {
    expect(p).toBe(36n * u ** 4n + 36n * u ** 3n + 24n * u ** 2n + 6n * u + 1n);
    expect(n).toBe(36n * u ** 4n + 36n * u ** 3n + 18n * u ** 2n + 6n * u + 1n);
    expect(p).toBe(number(vectors.curve.field));
    expect(n).toBe(number(vectors.curve.order));
    expect(toHex(encodeG1(G1.BASE))).toBe(vectors.curve.g1);
    expect(toHex(encodeG2(G2.BASE))).toBe(vectors.curve.g2);
  });

  it.each(vectors.g1_mul)('multiplies both generators by $scalar as recorded', ({ scalar, g1, g2 }) => {
    const k = number(scalar);
    expect(toHex(encodeG1(G1.BASE.multiply(k)))).toBe(g1);
    expect(toHex(encodeG1(G1.BASE.multiplyUnsafe(k)))).toBe(g1);
    expect(toHex(encodeG2(G2.BASE.multiply(k)))).toBe(g2);
    expect(toHex(encodeG2(G2.BASE.multiplyUnsafe(k)))).toBe(g2);
  });
});

describe('the GLV endomorphism of G1', () => {
  const base = G1.BASE.multiply(0x1234567890abcdefn);

  it('is a cube root of unity that acts on a point as a scalar', () => {
    const beta = 0x13988e140921018659bcdd79df1932d1edb1c0a24a3a1b807n;
    const { x, y } = base.toAffine();
    const lambda = Fr.div(Fr.neg(6n * u * u + 2n * u), Fr.create(-2n * u - 1n));
    expect(Fp.pow(beta, 3n)).toBe(1n);
    expect(base.multiply(lambda).toAffine()).toEqual({ x: Fp.mul(x, beta), y });
  });

  it('returns the same as the constant-time path without it', () => {
    fc.assert(
      fc.property(fc.bigInt({ min: 1n, max: n - 1n }), (k) =>
        base.multiplyUnsafe(k).equals(base.multiply(k)),
      ),
      { numRuns: 60 },
    );
  });

  it('holds at the edges of the scalars and of the split', () => {
    const edges = [1n, 2n, n - 1n, n / 2n, n / 2n + 1n, 1n << 128n, (1n << 128n) - 1n, n - (1n << 128n)];
    const split = [6n * u * u + 2n * u, 6n * u * u + 4n * u + 1n, -2n * u - 1n].flatMap((k) => [k, k / 2n]);
    for (const k of [...edges, ...split].map((value) => Fr.create(value))) {
      expect(base.multiplyUnsafe(k).equals(base.multiply(k)), `k = ${k}`).toBe(true);
    }
    expect(base.multiplyUnsafe(0n).is0()).toBe(true);
  });

  it('computes a·P + b·Q too, zeros and cancellation included', () => {
    const other = G1.BASE.multiply(99n);
    fc.assert(
      fc.property(anyScalar, anyScalar, (a, b) =>
        base.mulAddUnsafe(a, other, b).equals(base.multiplyUnsafe(a).add(other.multiplyUnsafe(b))),
      ),
      { numRuns: 30 },
    );
    expect(base.mulAddUnsafe(0n, other, 0n).is0()).toBe(true);
    expect(base.mulAddUnsafe(5n, base, n - 5n).is0()).toBe(true);
  });
});

describe('the pairing', () => {
  /**
   * Our final exponentiation yields the exact value f^((p¹²−1)/n) to the power 2u(6u²+3u+1); AMCL yields the exact one.
   * So one fixed exponent takes ours to theirs.
   */
  const toExact = Fr.inv(Fr.create(2n * u * (6n * u * u + 3n * u + 1n)));

  it.each(vectors.pairing)('of $a·G1 and $b·G2 is the recorded value, byte for byte', (vector) => {
    const P = G1.BASE.multiply(number(vector.a));
    const Q = G2.BASE.multiply(number(vector.b));
    expect(toHex(encodeG1(P))).toBe(vector.P);
    expect(toHex(encodeG2(Q))).toBe(vector.Q);
    const value = Fp12.pow(pairings.pairing(P, Q), toExact);
    // AMCL builds Fp12 over Fp4, so it writes the coefficients of w⁰ w³ w¹ w⁴ w² w⁵, each as two numbers.
    const { c0, c1 } = value;
    const coefficients = [c0.c0, c1.c1, c1.c0, c0.c2, c0.c1, c1.c2];
    const octets = coefficients.flatMap((c) => [c.c0, c.c1]).map((c) => toHex(encodeScalar(c)));
    expect(octets.join('')).toBe(vector.e_amcl_fp12_octet);
  });

  it('products are one exactly when the exponents cancel', () => {
    const [g, g2] = [linesOf(G2.BASE), linesOf(G2.BASE.multiply(7n))];
    const P = G1.BASE.multiply(5n);
    expect(
      productIsOne([
        [P, g2],
        [P.multiply(7n).negate(), g],
      ]),
    ).toBe(true);
    expect(
      productIsOne([
        [P, g2],
        [P.multiply(8n).negate(), g],
      ]),
    ).toBe(false);
  });

  it('products with infinity are refused, not taken for one', () => {
    expect(productIsOne([[G1.ZERO, linesOf(G2.BASE)]])).toBe(false);
  });
});
