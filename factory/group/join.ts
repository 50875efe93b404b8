import { checkMemberKey, issueCredential, join, validateCredential } from '../../crypto/ecdaa.ts';
import { primitives } from '../../crypto/primitives.ts';
import type { DaaKey } from '../../protocol/crypto/daa-key.ts';
import { G1_LENGTH } from '../../protocol/crypto/encoding.ts';
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
  return admitMemberKey(group, issuerSecret, await join(primitives, key, nonce, group.basename), nonce);
}

/** The same for a member key that was made elsewhere, with the group's basename, over this nonce. @throws Failure as `admitMember` */
export function admitMemberKey(
  group: Group,
  issuerSecret: Uint8Array,
  memberKey: Uint8Array,
  nonce: Uint8Array,
): Admission {
  checkMemberKey(primitives, memberKey, nonce, group.basename);
  const publicPoint = memberKey.subarray(0, G1_LENGTH);
  try {
    const issued = issueCredential(primitives, issuerSecret, publicPoint);
    validateCredential(primitives, group.gpk, publicPoint, issued.credential, issued.signature);
    return { ...issued, pseudonym: memberPseudonym(memberKey) };
  } catch (error) {
    if (!isFailure(error, 'ecdaa.bad-credential')) throw error;
    throw new Failure(
      'factory.key-mismatch',
      'operator',
      `the issuer's secret key in ${group.folder} does not belong to its ipk.bin: a credential issued with it is not valid`,
      { action: 'Restore the isk.bin or isk.enc that belongs to this group.', cause: error },
    );
  }
}
