import { drawMemberSecret, keptDaaKey, memberPoint } from '../../crypto/member-secret.ts';
import { primitives } from '../../crypto/primitives.ts';
import type { Tpm } from '../../tpm/context.ts';
import type { HandleMap } from '../../tpm/handles.ts';
import { type Keep, type MemberKey, openMemberKey } from '../../tpm/member-key.ts';
import { createDaaKey } from '../../tpm/personalise.ts';
import { createSealedSecret, openSealedSecret } from '../../tpm/sealed-secret.ts';

const keep: Keep = (publicPoint, open) => keptDaaKey(primitives, publicPoint, open);

/** The member's key in a TPM. @throws Failure those of `openMemberKey` */
export const openDeviceKey = (tpm: Tpm, map: HandleMap): Promise<MemberKey> => openMemberKey(tpm, map, keep);

/**
 * Makes the key at the handle of a map, or finds the one that an interrupted run left: in the TPM, or `sealed` in it.
 * @throws Failure those of `createDaaKey` and `createSealedSecret`
 */
export async function createDeviceKey(
  tpm: Tpm,
  map: HandleMap,
  sealed: boolean,
  hierarchyAuth: Uint8Array | undefined,
): Promise<MemberKey> {
  const handle = map.daaKey;
  if (!sealed) return { ...(await createDaaKey(tpm, map, hierarchyAuth)), handle, resident: true };
  const maker = { draw: () => drawMemberSecret(primitives), pointOf: memberPoint };
  const { publicPoint, publicArea } = await createSealedSecret(tpm, map, maker, hierarchyAuth);
  const key = keep(publicPoint, () => openSealedSecret(tpm, handle));
  return { key, handle, publicArea, resident: false };
}
