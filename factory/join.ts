import { issueCredential } from '../crypto/ecdaa.ts';
import { primitives } from '../crypto/primitives.ts';
import type { DaaKey } from '../protocol/crypto/daa-key.ts';
import { checkMemberKey, join, validateCredential } from '../protocol/crypto/member.ts';
import { Failure, isFailure } from '../protocol/failure.ts';
import type { Group } from './group.ts';

const NONCE_LENGTH = 32;

/**
 * Admits a key to the group: the key is proven against a fresh nonce, a credential is issued for it, and the
 * credential is verified as the member would (ecdaa.md §6).
 * @returns credential (260 bytes) and its signature (64 bytes)
 * @throws Failure `ecdaa.bad-member-key`, `factory.key-mismatch`
 */
export async function admitMember(
  group: Group,
  issuerSecret: Uint8Array,
  key: DaaKey,
): Promise<{ credential: Uint8Array; signature: Uint8Array }> {
  try {
    const nonce = primitives.random(NONCE_LENGTH);
    const memberKey = await join(primitives, key, nonce);
    checkMemberKey(primitives, memberKey, nonce);
    const issued = issueCredential(primitives, issuerSecret, key.publicPoint);
    validateCredential(primitives, group.gpk, key.publicPoint, issued.credential, issued.signature);
    return issued;
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
