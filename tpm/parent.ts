import { isFailure } from '../protocol/failure.ts';
import type { TpmObject } from './context.ts';
import { objectOf, type Tpm } from './context.ts';
import { COMMON_PARENT, OWN_PARENT } from './handles.ts';
import { type Authority, withHierarchy } from './hierarchy.ts';
import { findObject, type PersistentObject, release, whileLoaded } from './objects.ts';
import { ATTRIBUTE, type PublicArea } from './structures.ts';
import { STORAGE_TEMPLATE } from './templates.ts';

/** A storage key under which longterm keys are made, and the persistent handle to find it by. */
export interface Parent {
  readonly handle: number;
  readonly object: TpmObject;
}

const STORAGE = ATTRIBUTE.restricted | ATTRIBUTE.decrypt | ATTRIBUTE.userWithAuth;

/** True for a storage key with userWithAuth: others can be made under it. */
export function isStorageKey(area: PublicArea): boolean {
  return (area.attributes & (STORAGE | ATTRIBUTE.sign)) === STORAGE;
}

/** True if the dictionary-attack lockout (after power cuts or another program's wrong passwords) does not lock the key. */
export function isExemptFromLockout(area: PublicArea): boolean {
  return (area.attributes & ATTRIBUTE.noDa) !== 0;
}

/**
 * Finds or makes the parent of a new longterm key. What other programs have put at a handle is used if it is
 * suitable, and never replaced: the common handle if it is free or holds a lockout-exempt storage key, else our
 * own. A storage key without noDA is used only where we may not make our own.
 * @throws Failure `tpm.hierarchy-locked`, `tpm.occupied`
 */
export async function prepareParent(tpm: Tpm, ownerAuth: Uint8Array | undefined): Promise<Parent> {
  const common = await findObject(tpm, COMMON_PARENT);
  if (common === undefined) return createParent(tpm, COMMON_PARENT, ownerAuth);
  if (isStorageKey(common.area) && isExemptFromLockout(common.area))
    return { handle: COMMON_PARENT, object: common.object };
  return beside(tpm, common, ownerAuth);
}

/**
 * Makes the parent if it is not there yet, so that a longterm key can be made later without the owner's password. True if
 * it was made or found.
 */
export async function prepareStorage(tpm: Tpm, ownerAuth?: Uint8Array): Promise<boolean> {
  try {
    await release(tpm, (await prepareParent(tpm, ownerAuth)).object);
    return true;
  } catch (error) {
    if (!isFailure(error, 'tpm.hierarchy-locked')) throw error;
    return false;
  }
}

/** True if no parent has to be made: there is one at the common handle that will do, or our own. */
export async function hasParent(tpm: Tpm): Promise<boolean> {
  const common = await findObject(tpm, COMMON_PARENT);
  if (common !== undefined) await release(tpm, common.object);
  if (common !== undefined && isStorageKey(common.area) && isExemptFromLockout(common.area)) return true;
  const own = common === undefined ? undefined : await findObject(tpm, OWN_PARENT);
  if (own !== undefined) await release(tpm, own.object);
  return own !== undefined;
}

/** Our own parent at its own handle, whatever is at the common one. */
export async function prepareOwnParent(tpm: Tpm, ownerAuth: Uint8Array | undefined): Promise<Parent> {
  const own = await findObject(tpm, OWN_PARENT);
  if (own === undefined) return createParent(tpm, OWN_PARENT, ownerAuth);
  return { handle: OWN_PARENT, object: own.object };
}

/**
 * Removes our own parent, if there is one and the owner hierarchy has no password: then the same key can be made again when it is
 * needed. The key at the common handle may be in use by another program, and stays. True if nothing of ours is left.
 */
export async function removeOwnParent(tpm: Tpm): Promise<boolean> {
  const own = await findObject(tpm, OWN_PARENT);
  if (own === undefined) return true;
  try {
    await withHierarchy(tpm, 'owner', undefined, ({ session, hierarchy }) =>
      tpm.call('evictControl', [session, hierarchy, own.object, OWN_PARENT]),
    );
    return true;
  } catch (error) {
    if (!isFailure(error, 'tpm.hierarchy-locked')) throw error;
    await release(tpm, own.object);
    return false;
  }
}

async function beside(
  tpm: Tpm,
  common: PersistentObject,
  ownerAuth: Uint8Array | undefined,
): Promise<Parent> {
  try {
    const own = await prepareOwnParent(tpm, ownerAuth);
    await release(tpm, common.object);
    return own;
  } catch (error) {
    if (!isFailure(error, 'tpm.hierarchy-locked') || !isStorageKey(common.area)) throw error;
    return { handle: COMMON_PARENT, object: common.object };
  }
}

async function createParent(tpm: Tpm, handle: number, ownerAuth: Uint8Array | undefined): Promise<Parent> {
  return withHierarchy(tpm, 'owner', ownerAuth, async (authority) => ({
    handle,
    object: await makePersistent(tpm, authority, await createPrimary(tpm, authority), handle),
  }));
}

/** A transient storage key in the authority's hierarchy; flush it. */
export async function createPrimary(tpm: Tpm, authority: Authority): Promise<TpmObject> {
  return objectOf(
    await tpm.call('createPrimary', [authority.session, authority.hierarchy], [STORAGE_TEMPLATE]),
  );
}

/** Gives a transient object a persistent handle, and flushes it. */
export async function makePersistent(
  tpm: Tpm,
  authority: Authority,
  object: TpmObject,
  handle: number,
): Promise<TpmObject> {
  return whileLoaded(tpm, object, async () =>
    objectOf(await tpm.call('evictControl', [authority.session, authority.hierarchy, object, handle])),
  );
}
