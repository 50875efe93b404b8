import { groupVerifier, sign, validateCredential } from '../../crypto/ecdaa.ts';
import { primitives } from '../../crypto/primitives.ts';
import { toHex } from '../../protocol/bytes.ts';
import { groupId } from '../../protocol/crypto/group.ts';
import { pseudonymOf } from '../../protocol/crypto/verifier.ts';
import { Failure, isFailure } from '../../protocol/failure.ts';
import type { Tpm } from '../../tpm/context.ts';
import { readCredential, type TpmCredential } from '../../tpm/credential.ts';
import { HANDLE_MAPS } from '../../tpm/handles.ts';
import type { MemberKey } from '../../tpm/member-key.ts';
import { readNv } from '../../tpm/nv.ts';
import { memberName } from '../group/names.ts';
import { openDeviceKey } from './key.ts';

const CHALLENGE_LENGTH = 32;

/** A TPM's membership of a group, read from it and checked. */
export interface Member extends TpmCredential {
  readonly key: MemberKey;
  /** Q of that key, 65 bytes. */
  readonly publicPoint: Uint8Array;
  /** 64 bytes. */
  readonly credentialSignature: Uint8Array;
  /** 32 bytes, hex. */
  readonly gid: string;
}

/**
 * Reads a TPM's credential and verifies it for the key in the same TPM (ecdaa.md §6).
 * @throws Failure `tpm.not-personalised`, `tpm.bad-object`, `tpm.bad-public-area`, `factory.broken-credential`
 */
export async function readMember(tpm: Tpm): Promise<Member> {
  const held = await readCredential(tpm);
  const key = await openDeviceKey(tpm, held.map);
  const { publicPoint } = key.key;
  const credentialSignature = await readNv(tpm, held.map.nv.credentialSignature);
  if (credentialSignature === undefined) throw broken('its signature is missing');
  try {
    validateCredential(primitives, held.gpk, publicPoint, held.credential, credentialSignature);
  } catch (error) {
    if (isFailure(error)) throw broken(error.message, error);
    throw error;
  }
  const gid = toHex(groupId(primitives, held.gpk, held.basename));
  return { ...held, key, publicPoint, credentialSignature, gid };
}

/**
 * Makes the TPM sign with its credential, as it will at its fabric, and verifies that. Returns its pseudonym under the group's basename, 65 bytes.
 * @throws Failure `factory.broken-credential`, those of the TPM
 */
export async function proveMembership({ key, gpk, basename, credential }: Member): Promise<Uint8Array> {
  const message = primitives.random(CHALLENGE_LENGTH);
  const signature = await sign(primitives, key.key, credential, message, basename);
  if (await groupVerifier(primitives, gpk, basename).verify(signature, message))
    return pseudonymOf(signature).slice();
  throw broken('what it signs is not valid');
}

/** How the journal names the key of ours that the TPM holds, personalised or not; undefined if there is none. */
export async function memberNameOf(tpm: Tpm): Promise<string | undefined> {
  for (const map of HANDLE_MAPS) {
    try {
      return memberName((await openDeviceKey(tpm, map)).key.publicPoint);
    } catch (error) {
      if (!isFailure(error, 'tpm.not-personalised') && !isFailure(error, 'tpm.bad-public-area')) throw error;
    }
  }
  return undefined;
}

function broken(why: string, cause?: unknown): Failure {
  return new Failure(
    'factory.broken-credential',
    'operator',
    `the TPM holds a credential that is not valid for its key: ${why}`,
    {
      action:
        'Remove the NV objects that "enf-factory inspect" lists (tpm2_nvundefine), then personalise the TPM again.',
      cause,
    },
  );
}
