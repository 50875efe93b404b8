import { checkMemberKey, issueCredential, join, validateCredential } from '../../crypto/ecdaa.ts';
import { primitives } from '../../crypto/primitives.ts';
import type { DaaKey } from '../../protocol/crypto/daa-key.ts';
import { G1_LENGTH } from '../../protocol/crypto/encoding.ts';
import { checkIssuerSecret } from '../../protocol/crypto/issuer.ts';
import { memberPseudonym } from '../../protocol/crypto/member.ts';
import { Failure, isFailure } from '../../protocol/failure.ts';
import type { Group } from './group.ts';

export const NONCE_LENGTH = 32;

/** A credential (260 bytes) with its signature (64), and the pseudonym under the group's basename of the key that it is for (65). */
export interface Admission {
  readonly credential: Uint8Array;
  readonly signature: Uint8Array;
  readonly pseudonym: Uint8Array;
}

/**
 * Admits a key to the group: the key is proven against a fresh nonce, a credential is issued for it, and the
 * credential is verified as the member would (ecdaa.md §6).
 * @throws Failure `ecdaa.bad-member-key`, `factory.key-mismatch`
 */
export async function admitMember(group: Group, issuerSecret: Uint8Array, key: DaaKey): Promise<Admission> {
  const nonce = primitives.random(NONCE_LENGTH);
  const memberKey = await join(primitives, key, nonce, group.basename);
  checkMemberKey(primitives, memberKey, nonce, group.basename);
  const admission = issueFor(issuerSecret, memberKey);
  try {
    const { credential, signature } = admission;
    validateCredential(primitives, group.gpk, key.publicPoint, credential, signature);
  } catch (error) {
    if (isFailure(error, 'ecdaa.bad-credential')) throw keyMismatch(group, error);
    throw error;
  }
  return admission;
}

/** A credential, which is not verified here, for a member key with a pseudonym whose proof the caller has checked. */
export const issueFor = (issuerSecret: Uint8Array, memberKey: Uint8Array): Admission => ({
  ...issueCredential(primitives, issuerSecret, memberKey.subarray(0, G1_LENGTH)),
  pseudonym: memberPseudonym(memberKey),
});

/** That the issuer's secret is the group's. @throws Failure `factory.key-mismatch` */
export function requireIssuer(group: Group, issuerSecret: Uint8Array): void {
  try {
    checkIssuerSecret(issuerSecret, group.gpk);
  } catch (error) {
    if (isFailure(error, 'ecdaa.bad-issuer-secret')) throw keyMismatch(group, error);
    throw error;
  }
}

const keyMismatch = (group: Group, cause: unknown): Failure =>
  new Failure(
    'factory.key-mismatch',
    'operator',
    `the issuer's secret key in ${group.folder} does not belong to its ipk.bin: a credential issued with it is not valid`,
    { action: 'Restore the isk.bin or isk.enc that belongs to this group.', cause },
  );
