/** Every recorded signature is made again from its draws, and every recorded verdict on it and its mutations is ours. */
import { describe, expect, it } from 'vitest';
import { primitives } from '../../../crypto/primitives.ts';
import { concat, fromHex, toHex } from '../../../protocol/bytes.ts';
import { hashToG1 } from '../../../protocol/crypto/basename.ts';
import type { DaaKey } from '../../../protocol/crypto/daa-key.ts';
import { decodeG1, encodeG1, toNumber } from '../../../protocol/crypto/encoding.ts';
import type { G1Point } from '../../../protocol/crypto/fp256bn.ts';
import { sign, softwareDaaKey } from '../../../protocol/crypto/member.ts';
import { type GroupVerifier, groupVerifier } from '../../../protocol/crypto/verifier.ts';
import { altered, flipped, replay, type SignatureVector, vectors } from './vectors.ts';

const basenameOf = (vector: SignatureVector): Uint8Array | undefined =>
  vector.basename === null ? undefined : fromHex(vector.basename);
const pseudonymUnder = (secret: string, basename: Uint8Array): Uint8Array =>
  encodeG1(hashToG1(primitives, basename).P2.multiply(toNumber(fromHex(secret))));

/** The issuer, the credential and the key's public point of the member that made a signature. */
function member(vector: SignatureVector) {
  if (vector.member === vectors.tpm_member.index) {
    const { issuer, credential, Q } = vectors.tpm_member;
    return { issuer, credential: fromHex(credential), Q: fromHex(Q) };
  }
  const { issuer, credential, pk, sk } = vectors.members[vector.member]!;
  return { issuer, credential: fromHex(credential.credential), Q: fromHex(pk).subarray(0, 65), sk };
}

/** The TPM's key as far as its answers were recorded: E and L follow from c and s of the signature, K and n_s are in it. */
function answersOf(signature: Uint8Array, Q: Uint8Array): DaaKey {
  const [c, s] = [toNumber(signature.subarray(0, 32)), toNumber(signature.subarray(32, 64))];
  const commitment = (base: Uint8Array, image: Uint8Array): Uint8Array => {
    const difference: G1Point = decodeG1(base).multiply(s).subtract(decodeG1(image).multiply(c));
    return encodeG1(difference);
  };
  return {
    publicPoint: Q,
    async commit(base, basename) {
      const W = signature.subarray(259, 324);
      const K = signature.slice(356);
      const answer = async () => ({ nonce: signature.slice(324, 356), s: signature.slice(32, 64) });
      const E = commitment(base, W);
      return basename ? { E, K, L: commitment(basename.point, K), sign: answer } : { E, sign: answer };
    },
  };
}

const verifiers = new Map<string, GroupVerifier>();

interface Question {
  issuer: number;
  basename: Uint8Array | undefined;
  signature: Uint8Array;
  message: Uint8Array;
  secretKeys: Uint8Array[];
  pseudonyms: Uint8Array[];
}

/** What a verifier for this question says; verifiers are shared, as their preparation is most of the cost. */
function ask(question: Question): Promise<boolean> {
  const { issuer, basename, secretKeys, pseudonyms } = question;
  const key = JSON.stringify([
    issuer,
    basename && toHex(basename),
    secretKeys.map(toHex),
    pseudonyms.map(toHex),
  ]);
  let verifier = verifiers.get(key);
  if (!verifier) {
    const gpk = fromHex(vectors.issuers[issuer]!.gpk);
    verifier = groupVerifier(primitives, gpk, basename, { secretKeys, pseudonyms });
    verifiers.set(key, verifier);
  }
  return verifier.verify(question.signature, question.message);
}

/** The recorded cases as changes of the honest question. */
function posed(name: string, vector: SignatureVector): Question {
  const { issuer, sk } = member(vector);
  const basename = basenameOf(vector);
  const signature = fromHex(vector.signature);
  const message = fromHex(vector.message);
  const honest: Question = { issuer, basename, signature, message, secretKeys: [], pseudonyms: [] };
  // Never the signer, nor a colleague of the recording's own choice that could be.
  const otherSecret = vectors.members[vector.member === 1 ? 0 : 1]!.sk;
  const changes: Record<string, () => Partial<Question>> = {
    valid: () => ({}),
    message_extended_by_00: () => ({ message: concat(message, Uint8Array.of(0)) }),
    message_last_bit_flipped: () => ({ message: flipped(message, message.length - 1) }),
    tampered_c_last_bit: () => ({ signature: flipped(signature, 31) }),
    tampered_s_last_bit: () => ({ signature: flipped(signature, 63) }),
    tampered_R_last_bit: () => ({ signature: flipped(signature, 128) }),
    tampered_S_last_bit: () => ({ signature: flipped(signature, 193) }),
    tampered_T_last_bit: () => ({ signature: flipped(signature, 258) }),
    tampered_W_last_bit: () => ({ signature: flipped(signature, 323) }),
    tampered_n_last_bit: () => ({ signature: flipped(signature, 355) }),
    tampered_K_last_bit: () => ({ signature: flipped(signature, 420) }),
    swapped_R_S: () => ({
      signature: concat(
        signature.subarray(0, 64),
        signature.subarray(129, 194),
        signature.subarray(64, 129),
        signature.subarray(194),
      ),
    }),
    R_prefix_03: () => ({ signature: altered(signature, (copy) => copy.fill(3, 64, 65)) }),
    c_and_s_zero: () => ({ signature: altered(signature, (copy) => copy.fill(0, 0, 64)) }),
    wrong_basename: () => ({ basename: fromHex('77726f6e67') }),
    basename_omitted: () => ({ basename: undefined }),
    basename_added_to_nonbasename_signature: () => ({ basename: fromHex('424153454e414d45') }),
    other_group_gpk: () => ({ issuer: 1 - issuer }),
    other_secret_key_revoked: () => ({ secretKeys: [fromHex(otherSecret)] }),
    own_secret_key_revoked: () => ({ secretKeys: [fromHex(sk!)] }),
    other_pseudonym_revoked: () => ({ pseudonyms: [pseudonymUnder(otherSecret, basename!)] }),
    own_pseudonym_revoked: () => ({ pseudonyms: [signature.slice(356)] }),
  };
  const change = changes[name];
  if (!change) throw new Error(`unknown recorded case ${name}`);
  return { ...honest, ...change() };
}

const signatures = [
  ...vectors.signatures.map((vector) => ({ kind: 'software', vector })),
  ...vectors.tpm_signatures.map((vector) => ({ kind: 'TPM', vector })),
];

describe.each(signatures)('recorded $kind signature $vector.index of member $vector.member', ({ vector }) => {
  it('is made again from its draws, byte for byte', async () => {
    const { credential, Q, sk } = member(vector);
    const draws = replay(vector.random_draws);
    const key = sk ? softwareDaaKey(draws, fromHex(sk)) : answersOf(fromHex(vector.signature), Q);
    const signature = await sign(draws, key, credential, fromHex(vector.message), basenameOf(vector));
    expect(toHex(signature)).toBe(vector.signature);
    expect(draws.left()).toBe(0);
  });

  it.each(vector.checks)('$case: accepted only if rc is 0 (rc $rc)', async (check) => {
    expect(await ask(posed(check.case, vector))).toBe(check.rc === 0);
  });
});
