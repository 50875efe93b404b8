import type { DaaKey } from '../protocol/crypto/daa-key.ts';
import { Failure } from '../protocol/failure.ts';
import type { Tpm } from './context.ts';
import { openDaaKey } from './daa.ts';
import type { HandleMap } from './handles.ts';
import { findObject, release } from './objects.ts';
import { isSealedSecret, openSealedSecret, readMemberPoint } from './sealed-secret.ts';

/** The key of a member in a TPM, wherever its secret is. */
export interface MemberKey {
  readonly key: DaaKey;
  readonly handle: number;
  /** TPMT_PUBLIC of what is at the handle: an ECDAA key, or a sealed secret. */
  readonly publicArea: Uint8Array;
  /** True: the TPM has made the secret, and nobody ever sees it. False: it is sealed in the TPM, and a program signs with it. */
  readonly resident: boolean;
}

/** Signs with a secret that `open` gives anew for each signature, and wipes it: the curve is not the TPM's. */
export type Keep = (publicPoint: Uint8Array, open: () => Promise<Uint8Array>) => DaaKey;

/**
 * The member's key at the handle of a map. @throws Failure `tpm.not-personalised` also if the point of a sealed secret was not written,
 *   `tpm.bad-public-area`
 */
export async function openMemberKey(tpm: Tpm, map: HandleMap, keep: Keep): Promise<MemberKey> {
  const handle = map.daaKey;
  const found = await findObject(tpm, handle);
  if (found === undefined || !isSealedSecret(found.publicArea)) {
    const key = await openDaaKey(tpm, handle, found);
    return { key, handle, publicArea: found!.publicArea, resident: true };
  }
  const { publicArea } = found;
  await release(tpm, found.object);
  const point = await readMemberPoint(tpm, map);
  if (point === undefined) throw pointless(handle);
  return { key: keep(point, () => openSealedSecret(tpm, handle)), handle, publicArea, resident: false };
}

function pointless(handle: number): Failure {
  return new Failure(
    'tpm.not-personalised',
    'operator',
    `the public point of the sealed secret at 0x${handle.toString(16)} was not written`,
    { action: 'Personalise the TPM again: that was interrupted.' },
  );
}
