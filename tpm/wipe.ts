import type { Tpm } from './context.ts';
import { HANDLE_MAPS, type HandleMap } from './handles.ts';
import { type Authority, withHierarchy } from './hierarchy.ts';
import { findNv, isOurs, undefineNv } from './nv.ts';
import { findObject, release } from './objects.ts';
import { removeOwnParent } from './parent.ts';
import { removeKey } from './personalise.ts';
import { checkPublicArea } from './public-area.ts';
import { isSealedSecret } from './sealed-secret.ts';

/**
 * Takes out of the TPM what personalising wrote, in each hierarchy: first the key or the sealed secret, without which the rest is worthless, then the NV objects with our
 * attributes; and our own storage key. What other programs put there stays, and so does the storage key at the common handle. May be repeated.
 * Returns how many of these were removed, keys and NV objects; the storage key is not counted. @throws Failure `tpm.hierarchy-locked`
 */
export async function wipeTpm(tpm: Tpm, hierarchyAuth?: Uint8Array): Promise<number> {
  let removed = 0;
  for (const map of HANDLE_MAPS) {
    if (!(await holdsOurs(tpm, map))) continue;
    removed += await withHierarchy(tpm, map.hierarchy, hierarchyAuth, (authority) =>
      wipeMap(tpm, map, authority),
    );
  }
  await removeOwnParent(tpm);
  return removed;
}

async function holdsOurs(tpm: Tpm, map: HandleMap): Promise<boolean> {
  if (await holdsKey(tpm, map)) return true;
  for (const handle of Object.values(map.nv)) {
    const index = await findNv(tpm, handle);
    if (index === undefined) continue;
    await release(tpm, index.object);
    if (isOurs(map, index)) return true;
  }
  return false;
}

async function holdsKey(tpm: Tpm, map: HandleMap): Promise<boolean> {
  const key = await findObject(tpm, map.daaKey);
  if (key === undefined) return false;
  await release(tpm, key.object);
  return isDaaKey(key.publicArea) || isSealedSecret(key.publicArea);
}

async function wipeMap(tpm: Tpm, map: HandleMap, authority: Authority): Promise<number> {
  let removed = 0;
  if (await holdsKey(tpm, map)) {
    await removeKey(tpm, authority, map.daaKey);
    removed++;
  }
  for (const handle of Object.values(map.nv)) {
    const index = await findNv(tpm, handle);
    if (index === undefined) continue;
    if (isOurs(map, index)) {
      await undefineNv(tpm, authority, index.object);
      removed++;
    } else await release(tpm, index.object);
  }
  return removed;
}

function isDaaKey(publicArea: Uint8Array): boolean {
  try {
    checkPublicArea(publicArea);
    return true;
  } catch {
    return false;
  }
}
