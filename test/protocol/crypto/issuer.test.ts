import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { primitives } from '../../../crypto/primitives.ts';
import { concat, fromHex, toHex } from '../../../protocol/bytes.ts';
import { encodeG2, encodeScalar } from '../../../protocol/crypto/encoding.ts';
import { G2, n } from '../../../protocol/crypto/fp256bn.ts';
import { checkGroupPublicKey, groupId } from '../../../protocol/crypto/group.ts';
import {
  checkIssuerPublicKey,
  generateIssuer,
  groupPublicKey,
  issueCredential,
} from '../../../protocol/crypto/issuer.ts';
import { altered, flipped, replay, vectors } from './vectors.ts';

const failure = (code: string) => expect.objectContaining({ code });

describe.each(vectors.issuers)('recorded issuer $index', (vector) => {
  const ipk = fromHex(vector.ipk);

  it('is generated from its draws, byte for byte', () => {
    const draws = replay(vector.random_draws);
    const issuer = generateIssuer(draws);
    expect(toHex(issuer.secret)).toBe(vector.isk);
    expect(toHex(issuer.publicKey)).toBe(vector.ipk);
    expect(toHex(groupPublicKey(issuer.publicKey))).toBe(vector.gpk);
    expect(draws.left()).toBe(0);
  });

  it('has a public key that passes its check, and a group key that passes its own', () => {
    expect(vector.validate_rc).toBe(0);
    checkIssuerPublicKey(primitives, ipk);
    checkGroupPublicKey(fromHex(vector.gpk));
  });

  it('is refused with the last bit of sy flipped', () => {
    expect(vector.tampered_sy_last_bit_deserialize_rc).not.toBe(0);
    expect(() => checkIssuerPublicKey(primitives, flipped(ipk, 353))).toThrow(
      failure('ecdaa.bad-issuer-key'),
    );
  });

  it('is refused with any byte changed', () => {
    fc.assert(
      fc.property(fc.nat(ipk.length - 1), fc.integer({ min: 1, max: 255 }), (index, mask) => {
        const changed = altered(ipk, (copy) => {
          copy[index]! ^= mask;
        });
        expect(() => checkIssuerPublicKey(primitives, changed)).toThrow(failure('ecdaa.bad-issuer-key'));
      }),
      { numRuns: 25 },
    );
  });
});

describe('an issuer public key', () => {
  const ipk = fromHex(vectors.issuers[0]!.ipk);

  it('is refused at another length', () => {
    for (const bytes of [new Uint8Array(0), ipk.subarray(1), concat(ipk, Uint8Array.of(0))]) {
      expect(() => checkIssuerPublicKey(primitives, bytes)).toThrow(failure('ecdaa.bad-issuer-key'));
      expect(() => groupPublicKey(bytes)).toThrow(failure('ecdaa.bad-issuer-key'));
    }
  });

  it('is refused with the points of another issuer', () => {
    const other = fromHex(vectors.issuers[1]!.ipk);
    const mixed = concat(other.subarray(0, 258), ipk.subarray(258));
    expect(() => checkIssuerPublicKey(primitives, mixed)).toThrow(failure('ecdaa.bad-issuer-key'));
  });

  it('is refused if its proof would need infinity', () => {
    // c = 0 and s = 0 make the commitments infinity.
    const degenerate = concat(ipk.subarray(0, 258), new Uint8Array(96));
    expect(() => checkIssuerPublicKey(primitives, degenerate)).toThrow(failure('ecdaa.bad-issuer-key'));
  });

  it('made fresh passes its check and is another one each time', () => {
    const [a, b] = [generateIssuer(primitives), generateIssuer(primitives)];
    checkIssuerPublicKey(primitives, a.publicKey);
    expect(toHex(a.secret)).not.toBe(toHex(b.secret));
  });
});

describe('a group public key', () => {
  const gpk = fromHex(vectors.issuers[0]!.gpk);

  it('is refused at another length or with an invalid point', () => {
    for (const bytes of [
      gpk.subarray(1),
      concat(gpk, gpk),
      flipped(gpk, 128),
      flipped(gpk, 257),
      flipped(gpk, 129),
    ]) {
      expect(() => checkGroupPublicKey(bytes)).toThrow(failure('ecdaa.bad-group-key'));
    }
  });

  it('determines the group id together with the basename', () => {
    const basename = fromHex('42');
    expect(groupId(primitives, gpk, basename)).toEqual(primitives.sha256(concat(gpk, basename)));
    expect(() => groupId(primitives, gpk.subarray(1), basename)).toThrow(failure('ecdaa.bad-group-key'));
    expect(() => groupId(primitives, gpk, new Uint8Array(0))).toThrow(failure('ecdaa.bad-basename'));
    expect(() => groupId(primitives, gpk, new Uint8Array(65))).toThrow(failure('ecdaa.bad-basename'));
    expect(groupId(primitives, gpk, new Uint8Array(64))).toHaveLength(32);
  });
});

describe('issuing a credential', () => {
  const Q = fromHex(vectors.tpm_member.Q);
  const secret = fromHex(vectors.issuers[0]!.isk);

  it.each([
    ['63 bytes', secret.subarray(1)],
    ['65 bytes', concat(secret, Uint8Array.of(0))],
    ['x = 0', concat(new Uint8Array(32), secret.subarray(32))],
    ['y = n', concat(secret.subarray(0, 32), encodeScalar(n))],
  ])('refuses an issuer secret with %s, and does not print it', (_, bytes) => {
    expect(() => issueCredential(primitives, bytes, Q)).toThrow(failure('ecdaa.bad-issuer-secret'));
    try {
      issueCredential(primitives, bytes, Q);
    } catch (error) {
      expect((error as Error).message).not.toContain(toHex(bytes.subarray(40, 48)));
    }
  });

  it('refuses an invalid member point', () => {
    expect(() => issueCredential(primitives, secret, flipped(Q, 64))).toThrow(failure('ecdaa.bad-point'));
    expect(() => issueCredential(primitives, secret, encodeG2(G2.BASE))).toThrow(failure('ecdaa.bad-point'));
  });
});
