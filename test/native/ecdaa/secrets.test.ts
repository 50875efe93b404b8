/** What is computed with secrets, on every arithmetic, against the reference with the same draws: byte for byte the same. */
import fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';
import { primitives } from '../../../crypto/primitives.ts';
import type { EcdaaFace } from '../../../native/ecdaa/ecdaa.ts';
import { addon } from '../../../native/index.ts';
import { concat, toHex } from '../../../protocol/bytes.ts';
import { type Entropy, encodeG1, encodeScalar } from '../../../protocol/crypto/encoding.ts';
import { Fr, G1, n } from '../../../protocol/crypto/fp256bn.ts';
import { issueCredential } from '../../../protocol/crypto/issuer.ts';
import { sign, softwareDaaKey } from '../../../protocol/crypto/member.ts';
import { arithmetics } from './arithmetics.ts';

const face = addon() as EcdaaFace;
const hex = (bytes: Uint8Array | undefined) => bytes && toHex(bytes);

const u = -0x6882f5c030b0a801n;
/** Scalars where carries, signs, windows and the split of GLV meet their ends. */
const edges = [
  1n,
  2n,
  8n,
  9n,
  16n,
  n - 1n,
  n - 2n,
  n / 2n,
  6n * u * u + 4n * u + 1n,
  -2n * u - 1n,
  1n << 255n,
];
const anyScalar = fc.oneof(
  { weight: 2, arbitrary: fc.bigInt({ min: 1n, max: n - 1n }) },
  { weight: 1, arbitrary: fc.constantFrom(...edges) },
);

const reversed = (byte: number): number =>
  Array.from({ length: 8 }, (_, i) => ((byte >> i) & 1) << (7 - i)).reduce((sum, bit) => sum | bit);

/** The 65 random bytes of which ecdaa.md §3 makes this scalar. */
const drawOf = (k: bigint): Uint8Array =>
  concat(new Uint8Array(32), encodeScalar(k).map(reversed), Uint8Array.of(0));

/** Gives out these draws, one after the other. */
function dealing(draws: readonly Uint8Array[]): Entropy {
  const left = [...draws];
  return {
    ...primitives,
    random(length) {
      const next = left.shift();
      if (next?.length !== length) throw new Error(`nothing of ${length} bytes left to draw`);
      return next.slice();
    },
  };
}

const signing = fc.record({
  sk: anyScalar,
  issued: fc.tuple(anyScalar, anyScalar, anyScalar, anyScalar),
  drawn: fc.tuple(anyScalar, anyScalar, anyScalar),
  message: fc.uint8Array({ maxLength: 80 }),
  basename: fc.uint8Array({ maxLength: 20 }),
});

describe.each(arithmetics())('secrets (%s)', (arithmetic) => {
  beforeAll(() => {
    expect(face.ecdaaArithmetic(arithmetic)).toBe(arithmetic);
  });

  it('credentials are the reference’s, and signatures with them', async () => {
    await fc.assert(
      fc.asyncProperty(signing, async ({ sk, issued: [x, y, l, r], drawn, message, basename }) => {
        // A + D is infinity: no credential.
        if (Fr.add(1n, Fr.mul(y, sk)) === 0n) return;
        const issuer = concat(encodeScalar(x), encodeScalar(y));
        const Q = encodeG1(G1.BASE.multiplyUnsafe(sk));
        const expected = issueCredential(dealing([l, r].map(drawOf)), issuer, Q);
        const made = face.ecdaaIssue(issuer, Q, concat(drawOf(l), drawOf(r)));
        expect(hex(made)).toBe(toHex(concat(expected.credential, expected.signature)));

        const draws = drawn.map(drawOf);
        const own = softwareDaaKey(dealing(draws.slice(1)), encodeScalar(sk));
        const { credential } = expected;
        const reference = await sign(dealing(draws), own, credential, message, basename);
        const signature = face.ecdaaSign(encodeScalar(sk), credential, message, basename, concat(...draws));
        expect(hex(signature)).toBe(toHex(reference));
      }),
      { numRuns: 25 },
    );
  });

  it('answers to challenges are those of the reference; zero, and what is not below n, is refused', () => {
    fc.assert(
      fc.property(anyScalar, anyScalar, fc.oneof(anyScalar, fc.constant(0n)), (sk, k, c) => {
        const answer = face.ecdaaRespond(encodeScalar(sk), encodeScalar(k), encodeScalar(c));
        expect(hex(answer)).toBe(toHex(encodeScalar(Fr.add(k, Fr.mul(c, sk)))));
      }),
      { numRuns: 60 },
    );
    const good = encodeScalar(7n);
    for (const bad of [encodeScalar(0n), encodeScalar(n), new Uint8Array(32).fill(255), new Uint8Array(31)]) {
      expect(face.ecdaaRespond(bad, good, good)).toBeUndefined();
      expect(face.ecdaaRespond(good, bad, good)).toBeUndefined();
      if (bad[31] !== 0) expect(face.ecdaaRespond(good, good, bad)).toBeUndefined();
    }
  });

  it('draws and secrets that are zero are refused, and a credential of another key', () => {
    const issuer = concat(encodeScalar(3n), encodeScalar(5n));
    const { credential } = issueCredential(primitives, issuer, encodeG1(G1.BASE.multiply(7n)));
    const good = [11n, 12n, 13n].map(drawOf);
    const make = (sk: bigint, draws: readonly Uint8Array[]) =>
      face.ecdaaSign(encodeScalar(sk), credential, new Uint8Array(3), new Uint8Array(3), concat(...draws));
    expect(make(7n, good)).toBeDefined();
    // The credential is of another key: the reference refuses to answer, too.
    expect(make(8n, good)).toBeUndefined();
    expect(make(0n, good)).toBeUndefined();
    for (let i = 0; i < 3; i++) {
      // n mod n is zero, too.
      for (const zero of [0n, n]) expect(make(7n, good.with(i, drawOf(zero)))).toBeUndefined();
    }
  });
});
