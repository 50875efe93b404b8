/** A member of a group: its key, joining, its credential, signing (ecdaa.md §6, §7). */
import { concat, wipe } from '../bytes.ts';
import { Failure, isFailure } from '../failure.ts';
import { hashToG1 } from './basename.ts';
import type { Commitment, DaaKey } from './daa-key.ts';
import {
  decodeG1,
  decodeG1Points,
  decodeScalar,
  decodeSecret,
  drawScalar,
  type Entropy,
  encodeG1,
  encodeScalar,
  G1_LENGTH,
  hashToScalar,
  SCALAR_LENGTH,
} from './encoding.ts';
import { Fr, G1, type G1Point } from './fp256bn.ts';
import { certifies, checkGroupKeyLength, readGroup } from './group.ts';
import { type HostArithmetic, PORTABLE } from './host-arithmetic.ts';
import { decodeProof, prove, proves } from './schnorr.ts';

const MEMBER_KEY_LENGTH = G1_LENGTH + 3 * SCALAR_LENGTH;
const CREDENTIAL_LENGTH = 4 * G1_LENGTH;
const CREDENTIAL_SIGNATURE_LENGTH = 2 * SCALAR_LENGTH;

/** Draws a member's secret key, 32 bytes. */
export function generateMemberSecret(p: Entropy): Uint8Array {
  return encodeScalar(drawScalar(p));
}

/** A key in software from its 32-byte secret. @throws Failure `ecdaa.bad-member-secret` */
export function softwareDaaKey(p: Entropy, secret: Uint8Array): DaaKey {
  const sk = decodeMemberSecret(secret);
  return {
    publicPoint: encodeG1(G1.BASE.multiply(sk)),
    async commit(base, basename): Promise<Commitment> {
      const B = decodeG1(base);
      const k = drawScalar(p);
      let spent = false;
      const sign: Commitment['sign'] = async (c1) => {
        // Two answers under one k would give the secret away.
        if (spent) throw new Error('a commitment can be signed with only once');
        spent = true;
        const nonce = encodeScalar(drawScalar(p));
        const c = hashToScalar(p, nonce, c1);
        return { nonce, s: encodeScalar(Fr.add(k, Fr.mul(c, sk))) };
      };
      const E = encodeG1(B.multiply(k));
      if (!basename) return { E, sign };
      const P2 = decodeG1(basename.point);
      return { E, K: encodeG1(P2.multiply(sk)), L: encodeG1(P2.multiply(k)), sign };
    },
  };
}

/**
 * The member's public key Q ‖ c ‖ s ‖ n_s, 161 bytes: Q and the proof over the issuer's `nonce` that the key is known. With a basename the proof is also
 * that K, 65 bytes more, is the key's pseudonym under it. It proves nothing about where the key lives. @throws Failure as `prove`
 */
export async function join(
  p: Entropy,
  key: DaaKey,
  nonce: Uint8Array,
  basename?: Uint8Array,
  host: HostArithmetic = PORTABLE,
): Promise<Uint8Array> {
  const proof = await prove(p, key, encodeG1(G1.BASE), key.publicPoint, nonce, basename, host);
  return concat(key.publicPoint, proof.c, proof.s, proof.nonce, proof.K ?? new Uint8Array());
}

/**
 * The issuer's check of a member key (161 bytes, or 226 with a pseudonym under `basename`) against the nonce it gave out.
 * @throws Failure `ecdaa.bad-member-key`
 */
export function checkMemberKey(
  p: Entropy,
  memberKey: Uint8Array,
  nonce: Uint8Array,
  basename?: Uint8Array,
  host: HostArithmetic = PORTABLE,
): void {
  const expected = MEMBER_KEY_LENGTH + (basename === undefined ? 0 : G1_LENGTH);
  const bad = (got: string, cause?: unknown): Failure =>
    new Failure(
      'ecdaa.bad-member-key',
      'operator',
      `expected a member key of ${expected} bytes with a proof over this nonce, got ${got}`,
      { action: 'Let the device join again with the nonce that was just given out.', cause },
    );
  if (memberKey.length !== expected) throw bad(`${memberKey.length} bytes`);
  try {
    const publicPoint = decodeG1(memberKey.subarray(0, G1_LENGTH));
    // Anybody knows this key's secret, 1: no chip draws it.
    if (publicPoint.equals(G1.BASE)) throw bad('the generator, which is the key of the secret 1');
    const [c, s, nonceS] = scalars(memberKey.subarray(G1_LENGTH, MEMBER_KEY_LENGTH));
    const proof = decodeProof(c!, s!, nonceS!);
    const pseudonym = basename && {
      hashed: hashToG1(p, basename),
      K: decodeG1(memberKey.subarray(MEMBER_KEY_LENGTH)),
    };
    if (proves(p, proof, { base: G1.BASE, publicPoint, message: nonce, pseudonym }, host)) return;
  } catch (error) {
    if (!isFailure(error)) throw error;
    throw bad(error.message, error);
  }
  throw bad('a proof that does not hold');
}

/** The pseudonym K in a member key with one, 65 bytes. */
export const memberPseudonym = (memberKey: Uint8Array): Uint8Array => memberKey.slice(MEMBER_KEY_LENGTH);

/** Whether this group key (258 bytes) has issued the credential, whose points are valid. @throws Failure `ecdaa.bad-group-key` */
export type Certified = (p: Entropy, gpk: Uint8Array, credential: Uint8Array) => boolean;

const certified: Certified = (p, gpk, credential) =>
  certifies(p, readGroup(gpk), decodeCredential(credential));

/**
 * The member's check of its credential (260 bytes) and the issuer's signature (64 bytes): issued by the owner of `gpk`
 * (258 bytes) for the member point Q (65 bytes).
 * @throws Failure `ecdaa.bad-credential`, `ecdaa.bad-group-key`
 */
export function validateCredential(
  p: Entropy,
  gpk: Uint8Array,
  memberPoint: Uint8Array,
  credential: Uint8Array,
  signature: Uint8Array,
  { host, isIssued }: { readonly host: HostArithmetic; readonly isIssued: Certified } = {
    host: PORTABLE,
    isIssued: certified,
  },
): void {
  checkGroupKeyLength(gpk);
  const [, B, , D] = decodeCredential(credential).map(encodeG1);
  if (signature.length !== CREDENTIAL_SIGNATURE_LENGTH) {
    throw badCredential(`a signature of ${signature.length} bytes`);
  }
  let genuine: boolean;
  try {
    const [base, Q] = [encodeG1(G1.BASE), encodeG1(decodeG1(memberPoint))];
    const [c, s] = scalars(signature).map(decodeScalar);
    const [minusC, encodedS] = [encodeScalar(Fr.neg(c!)), encodeScalar(s!)];
    const U = host.multiplyAdd(base, encodedS, B!, minusC);
    const V = host.multiplyAdd(Q, encodedS, D!, minusC);
    genuine = U.length > 0 && V.length > 0 && hashToScalar(p, U, V, base, B!, Q, D!) === c;
  } catch (error) {
    if (!isFailure(error)) throw error;
    throw badCredential(error.message, error);
  }
  if (!genuine) throw badCredential('a signature that does not hold for this member');
  if (!isIssued(p, gpk, credential)) throw badCredential('one that this group key did not issue');
}

/**
 * Signs `message` as an anonymous member, 421 bytes with a basename:
 *
 *     0   32  64   129  194  259  324   356  421
 *     | c | s | R  | S  | T  | W  | n_s | K  |
 *
 * and 356 without one (an empty basename is none). K links all signatures of one key under one basename.
 * @throws Failure `ecdaa.bad-credential`, and as `prove`
 */
export async function sign(
  p: Entropy,
  key: DaaKey,
  credential: Uint8Array,
  message: Uint8Array,
  basename?: Uint8Array,
  host: HostArithmetic = PORTABLE,
): Promise<Uint8Array> {
  decodeCredential(credential);
  // l unlinks the signature from the credential: secret.
  const l = encodeScalar(drawScalar(p));
  const blinded = host.multiplyEach(credential, l);
  wipe(l);
  const [S, W] = [1, 3].map((i) => blinded.subarray(i * G1_LENGTH, (i + 1) * G1_LENGTH));
  const proof = await prove(p, key, S!, W!, message, basename, host);
  return concat(proof.c, proof.s, blinded, proof.nonce, proof.K ?? new Uint8Array(0));
}

function decodeCredential(credential: Uint8Array): [G1Point, G1Point, G1Point, G1Point] {
  if (credential.length !== CREDENTIAL_LENGTH) throw badCredential(`${credential.length} bytes`);
  try {
    return decodeG1Points(credential, 4) as [G1Point, G1Point, G1Point, G1Point];
  } catch (error) {
    if (!isFailure(error)) throw error;
    throw badCredential(error.message, error);
  }
}

function decodeMemberSecret(secret: Uint8Array): bigint {
  try {
    return decodeSecret(secret);
  } catch (error) {
    if (!isFailure(error)) throw error;
    throw new Failure(
      'ecdaa.bad-member-secret',
      'operator',
      `expected a member secret of ${SCALAR_LENGTH} bytes between 0 and the group order, got ${secret.length} bytes or a scalar out of range`,
      { action: 'Restore the secret key file, or personalise the device again.' },
    );
  }
}

function scalars(bytes: Uint8Array): Uint8Array[] {
  return Array.from({ length: bytes.length / SCALAR_LENGTH }, (_, i) =>
    bytes.subarray(i * SCALAR_LENGTH, (i + 1) * SCALAR_LENGTH),
  );
}

function badCredential(got: string, cause?: unknown): Failure {
  return new Failure(
    'ecdaa.bad-credential',
    'operator',
    `expected a credential of ${CREDENTIAL_LENGTH} bytes for this member and group, got ${got}`,
    { action: 'Personalise the device again with a credential of its own group.', cause },
  );
}
