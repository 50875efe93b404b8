import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { primitives } from '../../../crypto/primitives.ts';
import { ascii, concat, fromHex, toHex } from '../../../protocol/bytes.ts';
import type { Commitment, DaaKey } from '../../../protocol/crypto/daa-key.ts';
import {
  decodeG1,
  drawScalar,
  encodeG1,
  encodeScalar,
  hashToScalar,
  toNumber,
} from '../../../protocol/crypto/encoding.ts';
import { Fr, G1 } from '../../../protocol/crypto/fp256bn.ts';
import { issueCredential } from '../../../protocol/crypto/issuer.ts';
import {
  checkMemberKey,
  generateMemberSecret,
  join,
  sign,
  softwareDaaKey,
  validateCredential,
} from '../../../protocol/crypto/member.ts';
import { groupVerifier } from '../../../protocol/crypto/verifier.ts';
import { altered, flipped, replay, vectors } from './vectors.ts';

const failure = (code: string) => expect.objectContaining({ code });
const gpkOf = (issuer: number) => fromHex(vectors.issuers[issuer]!.gpk);

describe.each(vectors.members)('recorded member $index', (vector) => {
  const pk = fromHex(vector.pk);
  const nonce = ascii(vector.nonce_text);
  const credential = fromHex(vector.credential.credential);
  const signature = fromHex(vector.credential.credential_signature);
  const Q = pk.subarray(0, 65);
  const check = (gpk: Uint8Array, c = credential, s = signature) =>
    validateCredential(primitives, gpk, Q, c, s);

  it('joins from its draws, byte for byte', async () => {
    const draws = replay(vector.random_draws);
    const secret = generateMemberSecret(draws);
    expect(toHex(secret)).toBe(vector.sk);
    expect(toHex(await join(draws, softwareDaaKey(draws, secret), nonce))).toBe(vector.pk);
    expect(draws.left()).toBe(0);
  });

  it('proves its key over its own nonce only', () => {
    expect(vector.pk_deserialize_rc).toBe(0);
    expect(vector.pk_deserialize_wrong_nonce_rc).not.toBe(0);
    checkMemberKey(primitives, pk, nonce);
    expect(() => checkMemberKey(primitives, pk, ascii('another nonce'))).toThrow(
      failure('ecdaa.bad-member-key'),
    );
  });

  it('is issued its credential from the draws, byte for byte', () => {
    const draws = replay(vector.credential.random_draws);
    const issued = issueCredential(draws, fromHex(vectors.issuers[vector.issuer]!.isk), Q);
    expect(toHex(issued.credential)).toBe(vector.credential.credential);
    expect(toHex(issued.signature)).toBe(vector.credential.credential_signature);
    expect(draws.left()).toBe(0);
  });

  it('validates its credential as the C library does', () => {
    const { credential: recorded } = vector;
    expect(recorded.validate_rc).toBe(0);
    check(gpkOf(vector.issuer));
    expect(recorded.validate_other_gpk_rc).not.toBe(0);
    expect(() => check(gpkOf(1 - vector.issuer))).toThrow(failure('ecdaa.bad-credential'));
    expect(recorded.validate_tampered_sig_rc).not.toBe(0);
    expect(() => check(gpkOf(vector.issuer), credential, flipped(signature, 63))).toThrow(
      failure('ecdaa.bad-credential'),
    );
    expect(recorded.validate_A_replaced_by_B_rc).not.toBe(0);
    const swapped = altered(credential, (copy) => copy.copyWithin(0, 65, 130));
    expect(() => check(gpkOf(vector.issuer), swapped)).toThrow(failure('ecdaa.bad-credential'));
  });
});

describe('the member recorded from a TPM', () => {
  const vector = vectors.tpm_member;
  const pk = fromHex(vector.pk);
  const Q = fromHex(vector.Q);
  const nonce = ascii(vector.nonce_text);

  it('joins with the responses of its TPM, byte for byte', async () => {
    const key: DaaKey = {
      publicPoint: Q,
      async commit(base) {
        const [c, s] = [toNumber(pk.subarray(65, 97)), toNumber(pk.subarray(97, 129))];
        const E = decodeG1(base).multiply(s).subtract(decodeG1(Q).multiply(c));
        return { E: encodeG1(E), sign: async () => ({ nonce: pk.slice(129), s: pk.slice(97, 129) }) };
      },
    };
    expect(await join(replay([]), key, nonce)).toEqual(pk);
    checkMemberKey(primitives, pk, nonce);
  });

  it('is issued its credential from the draws, byte for byte, and validates it', () => {
    const draws = replay(vector.random_draws);
    const issued = issueCredential(draws, fromHex(vectors.issuers[vector.issuer]!.isk), Q);
    expect(toHex(issued.credential)).toBe(vector.credential);
    expect(toHex(issued.signature)).toBe(vector.credential_signature);
    validateCredential(primitives, gpkOf(vector.issuer), Q, issued.credential, issued.signature);
  });
});

describe('a member key', () => {
  const nonce = ascii(vectors.members[0]!.nonce_text);
  const pk = fromHex(vectors.members[0]!.pk);

  it('is refused with any byte changed, and at any other length', () => {
    fc.assert(
      fc.property(fc.nat(pk.length - 1), fc.integer({ min: 1, max: 255 }), (index, mask) => {
        const changed = altered(pk, (copy) => {
          copy[index]! ^= mask;
        });
        expect(() => checkMemberKey(primitives, changed, nonce)).toThrow(failure('ecdaa.bad-member-key'));
      }),
      { numRuns: 60 },
    );
    for (const bytes of [new Uint8Array(0), pk.subarray(1), concat(pk, Uint8Array.of(0))]) {
      expect(() => checkMemberKey(primitives, bytes, nonce)).toThrow(failure('ecdaa.bad-member-key'));
    }
  });

  it('[H-B9] is refused for the secret 1, which everybody knows', async () => {
    const one = softwareDaaKey(primitives, encodeScalar(1n));
    const two = softwareDaaKey(primitives, encodeScalar(2n));
    const nonce = primitives.random(32);
    const refused = await join(primitives, one, nonce);
    expect(() => checkMemberKey(primitives, refused, nonce)).toThrow(failure('ecdaa.bad-member-key'));
    checkMemberKey(primitives, await join(primitives, two, nonce), nonce);
  });

  it('in software is refused if the secret is zero, too large or of another length', () => {
    for (const secret of [new Uint8Array(32), new Uint8Array(32).fill(255), new Uint8Array(31).fill(1)]) {
      expect(() => softwareDaaKey(primitives, secret)).toThrow(failure('ecdaa.bad-member-secret'));
    }
  });

  it('answers only once for a commitment', async () => {
    const key = softwareDaaKey(primitives, generateMemberSecret(primitives));
    const { sign: answer } = await key.commit(encodeG1(G1.BASE));
    await answer(new Uint8Array(32));
    await expect(answer(new Uint8Array(32))).rejects.toThrow('only once');
  });
});

describe('a credential', () => {
  const member = vectors.members[0]!;
  const Q = fromHex(member.pk).subarray(0, 65);
  const credential = fromHex(member.credential.credential);
  const signature = fromHex(member.credential.credential_signature);
  const gpk = gpkOf(member.issuer);

  it('is refused for another member', () => {
    const other = fromHex(vectors.members[1]!.pk).subarray(0, 65);
    expect(() => validateCredential(primitives, gpk, other, credential, signature)).toThrow(
      failure('ecdaa.bad-credential'),
    );
  });

  it('is refused when malformed, with the cause named', () => {
    const cases: [Uint8Array, Uint8Array, Uint8Array][] = [
      [Q, credential.subarray(1), signature],
      [Q, credential, signature.subarray(1)],
      [Q, flipped(credential, 259), signature],
      [Q, credential, altered(signature, (copy) => copy.fill(255))],
      [Q.subarray(1), credential, signature],
    ];
    for (const [point, c, s] of cases) {
      expect(() => validateCredential(primitives, gpk, point, c, s)).toThrow(failure('ecdaa.bad-credential'));
    }
    expect(() => validateCredential(primitives, gpk.subarray(1), Q, credential, signature)).toThrow(
      failure('ecdaa.bad-group-key'),
    );
  });

  it('with C replaced is refused by the pairing alone', () => {
    // The signature does not cover C: only e(C, G2) = e(A + D, X) does.
    const forged = altered(credential, (copy) => copy.copyWithin(130, 0, 65));
    expect(() => validateCredential(primitives, gpk, Q, forged, signature)).toThrow(
      failure('ecdaa.bad-credential'),
    );
  });
});

describe('signing with a key that misbehaves', () => {
  const member = vectors.members[0]!;
  const credential = fromHex(member.credential.credential);
  const good = softwareDaaKey(primitives, fromHex(member.sk));
  const basename = ascii('BASENAME');
  const message = ascii('message');

  /** The good key, each answer passed through `change` with its number. */
  function tampered(change: (answer: { nonce: Uint8Array; s: Uint8Array }, attempt: number) => void) {
    let attempts = 0;
    const key: DaaKey = {
      publicPoint: good.publicPoint,
      async commit(base, point): Promise<Commitment> {
        const commitment = await good.commit(base, point);
        return {
          ...commitment,
          sign: async (c1) => {
            const answer = { ...(await commitment.sign(c1)) };
            change(answer, ++attempts);
            return answer;
          },
        };
      },
    };
    return { key, attempts: () => attempts };
  }

  it('starts again when the nonce is short', async () => {
    const { key, attempts } = tampered((answer, attempt) => {
      if (attempt < 3) answer.nonce = answer.nonce.subarray(1);
    });
    const signature = await sign(primitives, key, credential, message, basename);
    expect(attempts()).toBe(3);
    const verifier = groupVerifier(primitives, gpkOf(member.issuer), basename);
    expect(await verifier.verify(signature, message)).toBe(true);
  });

  it('gives up after nine short nonces', async () => {
    const { key, attempts } = tampered((answer) => {
      answer.nonce = answer.nonce.subarray(1);
    });
    await expect(sign(primitives, key, credential, message, basename)).rejects.toMatchObject({
      code: 'ecdaa.short-nonce',
      remedy: 'retry',
    });
    expect(attempts()).toBe(9);
  });

  it('restores the leading zeros of s', async () => {
    const sk = toNumber(fromHex(member.sk));
    const key: DaaKey = {
      publicPoint: good.publicPoint,
      async commit(base) {
        const k = drawScalar(primitives);
        const answer = (c1: Uint8Array): { nonce: Uint8Array; s: Uint8Array } => {
          const nonce = primitives.random(32);
          const s = encodeScalar(Fr.add(k, Fr.mul(hashToScalar(primitives, nonce, c1), sk)));
          // About 256 nonces until s starts with a zero byte, which a TPM would strip.
          return s[0] === 0 ? { nonce, s: s.subarray(1) } : answer(c1);
        };
        return { E: encodeG1(decodeG1(base).multiply(k)), sign: async (c1) => answer(c1) };
      },
    };
    const signature = await sign(primitives, key, credential, message);
    expect(signature[32]).toBe(0);
    expect(await groupVerifier(primitives, gpkOf(member.issuer)).verify(signature, message)).toBe(true);
  });

  it('refuses a response that is not a valid proof', async () => {
    const { key } = tampered((answer) => {
      answer.s = flipped(answer.s, 31);
    });
    await expect(sign(primitives, key, credential, message, basename)).rejects.toThrow(
      failure('ecdaa.bad-response'),
    );
    await expect(join(primitives, key, message)).rejects.toThrow(failure('ecdaa.bad-response'));
  });

  it('refuses a malformed response', async () => {
    const long = tampered((answer) => {
      answer.s = concat(Uint8Array.of(1), answer.s);
    });
    await expect(sign(primitives, long.key, credential, message)).rejects.toThrow(
      failure('ecdaa.bad-response'),
    );
    const offCurve: DaaKey = {
      ...good,
      async commit(base, point) {
        const commitment = await good.commit(base, point);
        return { ...commitment, K: flipped(commitment.K!, 64) };
      },
    };
    await expect(sign(primitives, offCurve, credential, message, basename)).rejects.toThrow(
      failure('ecdaa.bad-response'),
    );
  });

  it('refuses a credential of another key', async () => {
    const other = fromHex(vectors.members[1]!.credential.credential);
    await expect(sign(primitives, good, other, message)).rejects.toThrow(failure('ecdaa.bad-response'));
  });

  it('refuses a commitment without a pseudonym where a basename asks for one', async () => {
    const key: DaaKey = { ...good, commit: (base) => good.commit(base) };
    await expect(sign(primitives, key, credential, message, basename)).rejects.toThrow(
      failure('ecdaa.bad-response'),
    );
  });

  it('refuses a malformed credential before it asks the key', async () => {
    const key: DaaKey = { ...good, commit: () => Promise.reject(new Error('asked')) };
    await expect(sign(primitives, key, credential.subarray(1), message)).rejects.toThrow(
      failure('ecdaa.bad-credential'),
    );
    await expect(sign(primitives, key, flipped(credential, 64), message)).rejects.toThrow(
      failure('ecdaa.bad-credential'),
    );
  });
});
