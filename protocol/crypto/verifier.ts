/** Verification of member signatures, with revocation (ecdaa.md §7). */
import { toHex } from '../bytes.ts';
import { Failure, isFailure } from '../failure.ts';
import { type HashedBasename, hashToG1 } from './basename.ts';
import {
  decodeG1,
  decodeG1Points,
  decodeSecret,
  type Entropy,
  encodeG1,
  G1_LENGTH,
  SCALAR_LENGTH,
} from './encoding.ts';
import type { G1Point } from './fp256bn.ts';
import { certifies, readGroup } from './group.ts';
import { decodeProof, type Proof, proves } from './schnorr.ts';

const POINTS_OFFSET = 2 * SCALAR_LENGTH;
const NONCE_OFFSET = POINTS_OFFSET + 4 * G1_LENGTH;
const PSEUDONYM_OFFSET = NONCE_OFFSET + SCALAR_LENGTH;

/** Length of a signature without pseudonym. */
export const SIGNATURE_LENGTH = PSEUDONYM_OFFSET;
/** Length of a signature with pseudonym. */
export const LINKED_SIGNATURE_LENGTH = PSEUDONYM_OFFSET + G1_LENGTH;

/** Verifies signatures of one group, under one basename, against fixed revocations. */
export interface GroupVerifier {
  /** False for any signature that a current member did not make over `message`, malformed ones included; never throws. */
  verify(signature: Uint8Array, message: Uint8Array): Promise<boolean>;
}

/** Members shut out: by a secret key that leaked (32 bytes), by a pseudonym under the verifier's basename (65 bytes). */
export interface Revocations {
  readonly secretKeys: readonly Uint8Array[];
  readonly pseudonyms: readonly Uint8Array[];
}

/**
 * Prepares verification under `gpk` (258 bytes). With a basename every signature must be the 421-byte form made under it,
 * without (or with an empty one) the 356-byte form. A revocation costs a hash look-up per signature under a basename, and
 * one multiplication per revoked secret key without.
 * @throws Failure `ecdaa.bad-group-key`, `ecdaa.bad-revocation`
 */
export function groupVerifier(
  p: Entropy,
  gpk: Uint8Array,
  basename?: Uint8Array,
  revocations: Revocations = { secretKeys: [], pseudonyms: [] },
): GroupVerifier {
  const group = readGroup(gpk);
  const hashed = basename && basename.length > 0 ? hashToG1(p, basename.slice()) : undefined;
  const isRevoked = revocationCheck(revocations, hashed);
  return {
    async verify(signature, message) {
      const parsed = parse(signature, hashed !== undefined);
      if (!parsed) return false;
      const { proof, points, K } = parsed;
      const [, base, , publicPoint] = points;
      const pseudonym = hashed && K && { hashed, K };
      if (isRevoked(parsed)) return false;
      if (!proves(p, proof, { base, publicPoint, message, pseudonym })) return false;
      return certifies(p, group, points);
    },
  };
}

/** K, the last 65 bytes of a 421-byte signature: the member's name under the basename. @throws Failure `ecdaa.no-pseudonym` */
export function pseudonymOf(signature: Uint8Array): Uint8Array {
  if (signature.length !== LINKED_SIGNATURE_LENGTH) {
    throw new Failure(
      'ecdaa.no-pseudonym',
      'operator',
      `expected a signature of ${LINKED_SIGNATURE_LENGTH} bytes with a pseudonym, got ${signature.length} bytes`,
    );
  }
  return signature.slice(PSEUDONYM_OFFSET);
}

interface ParsedSignature {
  readonly proof: Proof;
  /** R, S, T, W. */
  readonly points: readonly [G1Point, G1Point, G1Point, G1Point];
  readonly K?: G1Point | undefined;
}

function parse(signature: Uint8Array, linked: boolean): ParsedSignature | undefined {
  if (signature.length !== (linked ? LINKED_SIGNATURE_LENGTH : SIGNATURE_LENGTH)) return undefined;
  try {
    const proof = decodeProof(
      signature.subarray(0, SCALAR_LENGTH),
      signature.subarray(SCALAR_LENGTH, POINTS_OFFSET),
      signature.subarray(NONCE_OFFSET, PSEUDONYM_OFFSET),
    );
    const [R, S, T, W] = decodeG1Points(signature.subarray(POINTS_OFFSET, NONCE_OFFSET), 4);
    const K = linked ? decodeG1(signature.subarray(PSEUDONYM_OFFSET)) : undefined;
    return { proof, points: [R!, S!, T!, W!], K };
  } catch (error) {
    if (isFailure(error)) return undefined;
    throw error;
  }
}

/**
 * Under a basename a revoked sk is its pseudonym sk·P2: the proof binds W and K to the same sk, so a look-up of K replaces
 * sk·S = W.
 */
function revocationCheck(
  revocations: Revocations,
  hashed: HashedBasename | undefined,
): (signature: ParsedSignature) => boolean {
  const secrets = revocations.secretKeys.map((secret, i) =>
    entry('secret key', i, () => decodeSecret(secret)),
  );
  const pseudonyms = revocations.pseudonyms.map((K, i) => entry('pseudonym', i, () => decodeG1(K)));
  if (!hashed) {
    if (pseudonyms.length > 0) {
      throw new Failure(
        'ecdaa.bad-revocation',
        'operator',
        `${pseudonyms.length} pseudonyms are revoked, but without a basename no signature carries one`,
        { action: 'Revoke secret keys instead, or verify under the basename of these pseudonyms.' },
      );
    }
    return ({ points: [, S, , W] }) => secrets.some((sk) => S.multiplyUnsafe(sk).equals(W));
  }
  const revoked = new Set(
    [...pseudonyms, ...secrets.map((sk) => hashed.P2.multiplyUnsafe(sk))].map((K) => toHex(encodeG1(K))),
  );
  return ({ K }) => K === undefined || revoked.has(toHex(encodeG1(K)));
}

function entry<T>(kind: string, index: number, decode: () => T): T {
  try {
    return decode();
  } catch (error) {
    if (!isFailure(error)) throw error;
    throw new Failure(
      'ecdaa.bad-revocation',
      'operator',
      `entry ${index} of the revocation list is not a valid ${kind}: ${error.message}`,
      {
        action: 'Correct or remove this entry; a malformed entry would revoke nothing.',
        cause: error,
      },
    );
  }
}
