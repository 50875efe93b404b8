import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { hostArithmetic } from '../../crypto/host-arithmetic.ts';
import { primitives } from '../../crypto/primitives.ts';
import type { EcdaaFace } from '../../native/ecdaa/ecdaa.ts';
import { addon } from '../../native/index.ts';
import { concat, toHex, u32 } from '../../protocol/bytes.ts';
import { drawScalar, encodeG1, encodeScalar } from '../../protocol/crypto/encoding.ts';
import { Fr, G1 } from '../../protocol/crypto/fp256bn.ts';
import { PORTABLE } from '../../protocol/crypto/host-arithmetic.ts';
import { generateIssuer, groupPublicKey, issueCredential } from '../../protocol/crypto/issuer.ts';
import { generateMemberSecret, sign, softwareDaaKey } from '../../protocol/crypto/member.ts';
import { groupVerifier } from '../../protocol/crypto/verifier.ts';

const native = hostArithmetic();
const BASENAME = new TextEncoder().encode('routers-2026');
const scalar = () => encodeScalar(drawScalar(primitives));
const point = () => encodeG1(G1.BASE.multiply(drawScalar(primitives)));
const EDGES = [1n, 2n, Fr.ORDER - 1n, (Fr.ORDER - 1n) / 2n, 1n << 128n].map((each) => encodeScalar(each));

/** Randomness that is the same each time. */
function replayed(seed: string) {
  let count = 0;
  const random = (length: number): Uint8Array => {
    const blocks = Array.from({ length: Math.ceil(length / 64) }, () =>
      createHash('sha512').update(seed).update(u32(count++)).digest(),
    );
    return new Uint8Array(concat(...blocks).subarray(0, length));
  };
  return { ...primitives, random };
}

describe('the addon’s arithmetic of a signing host', () => {
  test('is available, and is not the TypeScript reference', () => {
    expect(native).not.toBe(PORTABLE);
  });

  test('returns the same bytes as the reference, with each arithmetic of this processor', () => {
    const face = addon() as EcdaaFace;
    const before = face.ecdaaArithmetic();
    try {
      for (const choice of ['portable', 'adx', 'lanes'] as const) {
        try {
          face.ecdaaArithmetic(choice);
        } catch {
          continue; // not this processor's
        }
        const points = concat(point(), point(), point(), point());
        for (const each of [...EDGES, scalar(), scalar()]) {
          expect(native.multiplyEach(points, each), choice).toEqual(PORTABLE.multiplyEach(points, each));
          const [P, a, Q] = [point(), scalar(), point()];
          expect(native.multiplyAdd(P, a, Q, each), choice).toEqual(PORTABLE.multiplyAdd(P, a, Q, each));
        }
      }
    } finally {
      face.ecdaaArithmetic(before);
    }
  });

  test('reports a sum that is infinity', () => {
    const [P, a] = [point(), drawScalar(primitives)];
    for (const host of [native, PORTABLE]) {
      expect(host.multiplyAdd(P, encodeScalar(a), P, encodeScalar(Fr.neg(a)))).toEqual(new Uint8Array(0));
    }
  });

  test('refuses invalid input as the reference does', () => {
    const off = point();
    off[64]! ^= 1;
    for (const host of [native, PORTABLE]) {
      expect(() => host.multiplyEach(off, scalar())).toThrow(
        expect.objectContaining({ code: 'ecdaa.bad-point' }),
      );
      const tooLarge = new Uint8Array(32).fill(0xff);
      expect(() => host.multiplyEach(point(), tooLarge)).toThrow(
        expect.objectContaining({ code: 'ecdaa.bad-scalar' }),
      );
      expect(() => host.multiplyAdd(off, scalar(), point(), scalar())).toThrow(
        expect.objectContaining({ code: 'ecdaa.bad-point' }),
      );
    }
  });

  test('makes the same signatures as the reference, and refuses a wrong response of a key', async () => {
    const issuer = generateIssuer(primitives);
    const verifier = groupVerifier(primitives, groupPublicKey(issuer.publicKey), BASENAME);
    const secret = generateMemberSecret(primitives);
    const { publicPoint } = softwareDaaKey(primitives, secret);
    const { credential } = issueCredential(primitives, issuer.secret, publicPoint);
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 80 }), fc.string(), async (message, seed) => {
        const made = [native, PORTABLE].map((host) => {
          const p = replayed(seed);
          return sign(p, softwareDaaKey(p, secret), credential, message, BASENAME, host);
        });
        const [one, other] = await Promise.all(made);
        expect(toHex(one!)).toBe(toHex(other!));
        expect(await verifier.verify(one!, message)).toBe(true);
      }),
      { numRuns: 6 },
    );
    const stranger = softwareDaaKey(primitives, generateMemberSecret(primitives));
    const bent = credential.slice();
    bent[100]! ^= 1;
    for (const host of [native, PORTABLE]) {
      await expect(sign(primitives, stranger, credential, BASENAME, BASENAME, host)).rejects.toMatchObject({
        code: 'ecdaa.bad-response',
      });
      await expect(
        sign(primitives, softwareDaaKey(primitives, secret), bent, BASENAME, BASENAME, host),
      ).rejects.toMatchObject({ code: 'ecdaa.bad-credential' });
    }
  });
});
