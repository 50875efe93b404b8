/** The native curve against protocol/crypto's: points, scalars, encodings, pairings, and everything at the edges. */
import fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';
import { primitives } from '../../../crypto/primitives.ts';
import type { EcdaaFace } from '../../../native/ecdaa/ecdaa.ts';
import { addon } from '../../../native/index.ts';
import { concat, fromHex, toHex } from '../../../protocol/bytes.ts';
import { hashToG1 } from '../../../protocol/crypto/basename.ts';
import {
  decodeG1,
  decodeG2,
  drawScalar,
  encodeG1,
  encodeG2,
  encodeScalar,
} from '../../../protocol/crypto/encoding.ts';
import { Fp, Fp2, Fr, G1, type G1Point, G2, n, p } from '../../../protocol/crypto/fp256bn.ts';
import { vectors } from '../../protocol/crypto/vectors.ts';
import { arithmetics } from '../ecdaa/arithmetics.ts';

const face = addon() as EcdaaFace;
const u = -0x6882f5c030b0a801n;
const hex = (bytes: Uint8Array | undefined) => bytes && toHex(bytes);
const encoded = (point: G1Point): string => (point.is0() ? '' : toHex(encodeG1(point)));

/** What `decode` makes of the bytes, or undefined if it refuses them. */
function accepted<T>(decode: (bytes: Uint8Array) => T, bytes: Uint8Array): T | undefined {
  try {
    return decode(bytes);
  } catch {
    return undefined;
  }
}

/** Scalars where carries, signs, windows and the split of GLV meet their ends. */
const split = [6n * u * u + 2n * u, 6n * u * u + 4n * u + 1n, -2n * u - 1n];
const edges = [
  ...[0n, 1n, 2n, 7n, 8n, 9n, 15n, 16n, 17n, n - 1n, n - 2n, n / 2n, n / 2n + 1n],
  ...[64n, 128n, 192n, 255n].flatMap((bit) => [1n << bit, (1n << bit) - 1n, Fr.create(-(1n << bit))]),
  ...split.flatMap((k) => [k, k / 2n, n - k, Fr.create(k * k)]),
].map((k) => Fr.create(k));
const anyScalar = fc.oneof(
  { weight: 3, arbitrary: fc.bigInt({ min: 0n, max: n - 1n }) },
  { weight: 1, arbitrary: fc.constantFrom(...edges) },
);
const anyPoint = fc.bigInt({ min: 1n, max: n - 1n }).map((k) => G1.BASE.multiplyUnsafe(k));

describe.each(arithmetics())('the native curve (%s)', (arithmetic) => {
  beforeAll(() => {
    expect(face.ecdaaArithmetic(arithmetic)).toBe(arithmetic);
  });

  it.each(vectors.g1_mul)('multiplies the generator by $scalar as recorded', ({ scalar, g1 }) => {
    const [P, k] = [encodeG1(G1.BASE), fromHex(scalar)];
    expect(hex(face.fp256bnMultiply(P, k))).toBe(g1);
    expect(hex(face.fp256bnMultiplyAdd(P, k, P, encodeScalar(0n)))).toBe(g1);
    expect(hex(face.ecdaaPublicPoint(k))).toBe(g1);
  });

  it.each(vectors.hash_to_g1)('hashes "$input" to the recorded point', ({ input, point }) => {
    expect(hex(face.fp256bnHashToG1(fromHex(input)))).toBe(point);
  });

  it.each(vectors.random_mod_order)('draws $scalar as recorded', ({ draw, scalar }) => {
    expect(hex(face.fp256bnDraw(fromHex(draw)))).toBe(scalar);
  });

  it.each(vectors.point_deserialize)('takes a point or refuses it as recorded: $case', ({ bytes, rc }) => {
    const taken = face.fp256bnMultiply(fromHex(bytes), encodeScalar(1n));
    expect(hex(taken)).toBe(rc === 0 ? bytes : undefined);
  });

  it.each(vectors.pairing)('pairs $a·G1 with $b·G2 as bilinearity asks', ({ a, b, P, Q }) => {
    const [ka, kb] = [BigInt(`0x${a}`), BigInt(`0x${b}`)];
    const opposite = (k: bigint) => encodeG1(G1.BASE.multiply(Fr.neg(Fr.create(k))));
    const one = (k: bigint) =>
      face.fp256bnProductIsOne(fromHex(P), fromHex(Q), opposite(k), encodeG2(G2.BASE));
    expect(one(ka * kb)).toBe(true);
    expect(one(ka * kb + 1n)).toBe(false);
  });

  it('multiplies secrets at all edges as the reference does', () => {
    const base = G1.BASE.multiply(0x1234567890abcdefn);
    for (const k of edges) {
      expect(hex(face.fp256bnMultiply(encodeG1(base), encodeScalar(k))), `k = ${k}`).toBe(
        encoded(base.multiplyUnsafe(k)),
      );
      expect(hex(face.ecdaaPublicPoint(encodeScalar(k))), `k = ${k}`).toBe(
        k === 0n ? undefined : encoded(G1.BASE.multiplyUnsafe(k)),
      );
    }
  });

  it('multiplies any point by any secret as the reference does', () => {
    fc.assert(
      fc.property(anyPoint, anyScalar, (P, k) => {
        const product = face.fp256bnMultiply(encodeG1(P), encodeScalar(k));
        expect(hex(product)).toBe(encoded(P.multiplyUnsafe(k)));
        if (k > 0n)
          expect(hex(face.ecdaaPublicPoint(encodeScalar(k)))).toBe(encoded(G1.BASE.multiplyUnsafe(k)));
      }),
      { numRuns: 100 },
    );
  });

  it('multiplies up to eight at once as the reference does, equal points and the generator among them', () => {
    const point = fc.oneof(anyPoint, fc.constantFrom(G1.BASE, G1.BASE.negate(), G1.BASE.multiplyUnsafe(99n)));
    const products = fc.array(fc.tuple(point, anyScalar), { minLength: 1, maxLength: 8 });
    const each = (some: readonly (readonly [G1Point, bigint])[]) =>
      face.fp256bnMultiplyEach(
        concat(...some.map(([P]) => encodeG1(P))),
        concat(...some.map(([, k]) => encodeScalar(k))),
      );
    fc.assert(
      fc.property(products, (some) => {
        const expected = some.map(([P, k]) => encoded(P.multiplyUnsafe(k)) || '00'.repeat(65));
        expect(hex(each(some))).toBe(expected.join(''));
      }),
      { numRuns: 60 },
    );
    // Every edge in every place.
    const [P, Q] = [G1.BASE.multiply(0x1234567890abcdefn), G1.BASE.multiply(77n)];
    for (const [i, k] of edges.entries()) {
      const some = Array.from(
        { length: 8 },
        (_, at) => [at % 3 ? P : Q, edges[(i + at) % edges.length]!] as const,
      );
      const first = encoded(Q.multiplyUnsafe(k)) || '00'.repeat(65);
      expect(hex(each(some))?.slice(0, 130), `k = ${k}`).toBe(first);
    }
  });

  it('refuses eight at once where one of them is no point or no scalar', () => {
    const [P, k] = [encodeG1(G1.BASE), encodeScalar(5n)];
    const off = P.with(64, P[64]! ^ 1);
    expect(face.fp256bnMultiplyEach(concat(P, P), concat(k, k))).toBeDefined();
    for (const [points, scalars] of [
      [
        [P, off],
        [k, k],
      ],
      [
        [P, P],
        [k, encodeScalar(n)],
      ],
      [[P, P], [k]],
      [[], []],
      [Array(9).fill(P), Array(9).fill(k)],
    ] as const) {
      expect(face.fp256bnMultiplyEach(concat(...points), concat(...scalars))).toBeUndefined();
    }
  });

  it('adds multiples of public points as the reference does, equal and opposite ones too', () => {
    const related = fc.constantFrom<(P: G1Point) => G1Point>(
      (P) => P,
      (P) => P.negate(),
      (P) => P.double(),
      (P) => P.multiplyUnsafe(0x123456789n),
    );
    fc.assert(
      fc.property(anyPoint, anyScalar, related, anyScalar, (P, a, of, b) => {
        const Q = of(P);
        const sum = face.fp256bnMultiplyAdd(encodeG1(P), encodeScalar(a), encodeG1(Q), encodeScalar(b));
        expect(hex(sum)).toBe(encoded(P.mulAddUnsafe(a, Q, b)));
      }),
      { numRuns: 100 },
    );
    const P = encodeG1(G1.BASE);
    expect(hex(face.fp256bnMultiplyAdd(P, encodeScalar(5n), P, encodeScalar(n - 5n)))).toBe('');
  });

  it('hashes any basename to the point the reference finds', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 130 }), (basename) => {
        expect(hex(face.fp256bnHashToG1(basename))).toBe(toHex(hashToG1(primitives, basename).point));
      }),
      { numRuns: 60 },
    );
  });

  it('draws any scalar as the reference does', () => {
    const draws = fc.oneof(
      fc.uint8Array({ minLength: 65, maxLength: 65 }),
      fc.constantFrom(0xff, 0x01, 0x80).map((byte) => new Uint8Array(65).fill(byte)),
    );
    fc.assert(
      fc.property(draws, (draw) => {
        const expected = drawScalar({ random: () => draw.slice() });
        expect(hex(face.fp256bnDraw(draw))).toBe(toHex(encodeScalar(expected)));
      }),
    );
  });

  it('takes an encoded G1 point exactly where the reference takes it', () => {
    const coordinate = fc.oneof(
      fc.bigInt({ min: 0n, max: (1n << 256n) - 1n }),
      fc.constantFrom(0n, 1n, 2n, p - 1n, p, p + 1n, n, (1n << 256n) - 1n),
    );
    const made = fc
      .tuple(fc.constantFrom(0, 2, 3, 4), coordinate, coordinate)
      .map(([tag, x, y]) => Uint8Array.of(tag, ...encodeScalar(x), ...encodeScalar(y)));
    const spoilt = fc
      .tuple(anyPoint, fc.nat(64), fc.nat(255))
      .map(([P, at, byte]) => encodeG1(P).map((old, i) => (i === at ? byte : old)));
    const bytes = fc.oneof(made, spoilt, fc.uint8Array({ maxLength: 70 }), anyPoint.map(encodeG1));
    fc.assert(
      fc.property(bytes, (candidate) => {
        const taken = face.fp256bnMultiply(candidate, encodeScalar(1n));
        expect(hex(taken)).toBe(accepted(decodeG1, candidate) && toHex(candidate));
      }),
      { numRuns: 200 },
    );
  });

  it('refuses scalars from n on', () => {
    const P = encodeG1(G1.BASE);
    for (const k of [n, n + 1n, p, (1n << 256n) - 1n]) {
      expect(face.fp256bnMultiply(P, encodeScalar(k))).toBeUndefined();
      expect(face.ecdaaPublicPoint(encodeScalar(k))).toBeUndefined();
    }
    expect(face.ecdaaPublicPoint(encodeScalar(0n))).toBeUndefined();
    expect(face.ecdaaPublicPoint(encodeScalar(n - 1n))).toEqual(encodeG1(G1.BASE.negate()));
  });

  it('takes a G2 point exactly where the reference takes it', () => {
    const point = G2.BASE.multiply(0xabcdefn);
    const good = encodeG2(point);
    expect(face.fp256bnIsG2(good)).toBe(true);
    for (let i = 0; i < good.length; i += 8) {
      const spoilt = good.map((byte, at) => (at === i ? byte ^ 1 : byte));
      expect(face.fp256bnIsG2(spoilt), `byte ${i}`).toBe(accepted(decodeG2, spoilt) !== undefined);
    }
    const { x, y } = point.toAffine();
    const beyond = [x.c0 + p, x.c1, y.c0, y.c1].map((value) => encodeScalar(value % (1n << 256n)));
    for (const bytes of [
      Uint8Array.of(4, ...beyond.flatMap((part) => [...part])),
      good.subarray(1),
      Uint8Array.of(...good, 0),
      new Uint8Array(129),
      new Uint8Array(0),
    ]) {
      expect(face.fp256bnIsG2(bytes)).toBe(false);
    }
  });

  it('refuses points of the twist that are not in the subgroup', () => {
    // Almost every point of the twist is outside, as its cofactor is a 256-bit number.
    let found = 0;
    for (let a = 1n; found < 3; a++) {
      const x = Fp2.fromBigTuple([a, 1n]);
      const right = Fp2.add(Fp2.mul(Fp2.sqr(x), x), Fp2.fromBigTuple([3n, 3n]));
      let y: ReturnType<typeof Fp2.sqrt>;
      try {
        y = Fp2.sqrt(right);
      } catch {
        continue;
      }
      found++;
      const bytes = Uint8Array.of(
        4,
        ...[x.c0, x.c1, y.c0, y.c1].flatMap((part) => [...encodeScalar(Fp.create(part))]),
      );
      expect(Fp2.eql(Fp2.sqr(y), right)).toBe(true);
      expect(face.fp256bnIsG2(bytes)).toBe(false);
      expect(accepted(decodeG2, bytes)).toBeUndefined();
    }
  });

  it('knows a product of two pairings that is one from one that is not', () => {
    const scalar = fc.bigInt({ min: 1n, max: n - 1n });
    fc.assert(
      fc.property(scalar, scalar, fc.constantFrom(0n, 1n, n - 1n), (a, b, error) => {
        const product = Fr.neg(Fr.add(Fr.mul(a, b), error));
        if (product === 0n) return;
        const [P, Q] = [G1.BASE.multiplyUnsafe(a), G2.BASE.multiplyUnsafe(b)];
        const other = encodeG1(G1.BASE.multiplyUnsafe(product));
        expect(face.fp256bnProductIsOne(encodeG1(P), encodeG2(Q), other, encodeG2(G2.BASE))).toBe(
          error === 0n,
        );
      }),
      { numRuns: 25 },
    );
  });
});
