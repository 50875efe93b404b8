import { isFailure } from '../protocol/failure.ts';
import type { Tpm } from './context.ts';
import { COMMON_PARENT, HANDLE_MAPS, type HandleMap, OWN_PARENT } from './handles.ts';
import { findNv, isWritten } from './nv.ts';
import { findObject, release } from './objects.ts';
import { isExemptFromLockout, isStorageKey } from './parent.ts';
import { checkPublicArea } from './public-area.ts';
import { isSealedSecret, readMemberPoint } from './sealed-secret.ts';

/** One of the NV objects of a handle map, as far as it exists. */
export interface InspectedObject {
  readonly name: keyof HandleMap['nv'];
  readonly index: number;
  /** Bytes. */
  readonly size: number;
  /** TPMA_NV. */
  readonly attributes: number;
  readonly written: boolean;
}

export interface InspectedMap {
  readonly hierarchy: HandleMap['hierarchy'];
  /** What is at the ECDAA key's handle, the key or a sealed secret; `fault` says why it is not usable. */
  readonly daaKey?: {
    readonly handle: number;
    readonly point?: Uint8Array;
    readonly fault?: string;
    readonly sealed?: true;
  };
  readonly objects: readonly InspectedObject[];
}

/** What is at a parent's handle. `exempt`: power cuts and wrong passwords elsewhere do not lock it. */
export interface InspectedParent {
  readonly handle: number;
  readonly storageKey: boolean;
  readonly exempt: boolean;
}

export interface Inspection {
  readonly maps: readonly InspectedMap[];
  readonly parents: readonly InspectedParent[];
}

/** What the TPM holds of ours, or at our handles, in both maps. Changes nothing. */
export async function inspect(tpm: Tpm): Promise<Inspection> {
  const maps: InspectedMap[] = [];
  for (const map of HANDLE_MAPS) maps.push(await inspectMap(tpm, map));
  const parents: InspectedParent[] = [];
  for (const handle of [COMMON_PARENT, OWN_PARENT]) {
    const found = await findObject(tpm, handle);
    if (found === undefined) continue;
    await release(tpm, found.object);
    parents.push({ handle, storageKey: isStorageKey(found.area), exempt: isExemptFromLockout(found.area) });
  }
  return { maps, parents };
}

async function inspectMap(tpm: Tpm, map: HandleMap): Promise<InspectedMap> {
  const daaKey = await inspectKey(tpm, map);
  const objects: InspectedObject[] = [];
  for (const name of Object.keys(map.nv) as (keyof HandleMap['nv'])[]) {
    const found = await findNv(tpm, map.nv[name]);
    if (found === undefined) continue;
    await release(tpm, found.object);
    const { index, size, attributes } = found.public;
    objects.push({ name, index, size, attributes, written: isWritten(found.public) });
  }
  return { hierarchy: map.hierarchy, ...(daaKey && { daaKey }), objects };
}

async function inspectKey(tpm: Tpm, map: HandleMap): Promise<InspectedMap['daaKey']> {
  const handle = map.daaKey;
  const found = await findObject(tpm, handle);
  if (found === undefined) return undefined;
  await release(tpm, found.object);
  if (isSealedSecret(found.publicArea)) {
    const point = await readMemberPoint(tpm, map);
    return {
      handle,
      sealed: true,
      ...(point === undefined ? { fault: 'its public point was not written' } : { point }),
    };
  }
  try {
    return { handle, point: checkPublicArea(found.publicArea) };
  } catch (error) {
    if (!isFailure(error)) throw error;
    return { handle, fault: error.message };
  }
}
