import { ascii, equal } from '../protocol/bytes.ts';
import type { DaaKey } from '../protocol/crypto/daa-key.ts';
import { Failure, isFailure } from '../protocol/failure.ts';
import { CAPABILITY, PROPERTY, readProperties } from './capability.ts';
import { occupied } from './codes.ts';
import { objectOf, type Tpm } from './context.ts';
import { OBJECT_SIZES } from './credential.ts';
import { openDaaKey } from './daa.ts';
import type { HandleMap } from './handles.ts';
import { type Authority, withHierarchy } from './hierarchy.ts';
import {
  defineNv,
  findNv,
  isOurs,
  isWritten,
  type NvIndex,
  readIndex,
  readNv,
  undefineNv,
  writeNv,
} from './nv.ts';
import { findObject, release, whileLoaded } from './objects.ts';
import { createPrimary, hasParent, makePersistent } from './parent.ts';
import { checkPublicArea } from './public-area.ts';
import { isSealedSecret } from './sealed-secret.ts';
import { DAA_TEMPLATE } from './templates.ts';

/** What personalising writes into the TPM; sizes as in OBJECT_SIZES. */
export interface TpmObjects {
  readonly gpk: Uint8Array;
  readonly credential: Uint8Array;
  readonly credentialSignature: Uint8Array;
  readonly basename: Uint8Array;
  readonly xttRoot: Uint8Array;
  /** PEM text. */
  readonly tlsRoot: string;
}

/** The point of a sealed secret is written with that: sealed-secret.ts. */
type ObjectName = Exclude<keyof HandleMap['nv'], 'memberPoint'>;

/**
 * The credential is written last: while it is absent, personalising was interrupted and may be repeated. Of the other
 * objects only the credential's signature differs at the next attempt.
 */
const ORDER: readonly ObjectName[] = [
  'gpk',
  'basename',
  'xttRoot',
  'tlsRoot',
  'credentialSignature',
  'credential',
];

/** Bytes of each NV object; the point of the member is only beside a sealed secret. */
export type ObjectSizes = Readonly<Record<ObjectName, number>> & { readonly memberPoint?: number };

/**
 * Makes sure that everything fits before anything is personalised: that what is at our handles is ours, that there are handles for the keys, and
 * memory for the NV objects, which are defined here. Then makes the keys by `makeKeys`. If something does not fit, all that was made now is taken
 * away again.
 * @throws Failure `tpm.occupied`, `tpm.handles-full`, `tpm.nv-full`, `tpm.hierarchy-locked`, those of `makeKeys`
 */
export async function withRoom<T>(
  tpm: Tpm,
  map: HandleMap,
  sizes: ObjectSizes,
  hierarchyAuth: Uint8Array | undefined,
  makeKeys: () => Promise<T>,
): Promise<T> {
  const lacking = await lackingKeys(tpm, map, sizes.memberPoint === undefined ? isSuitable : isSealedSecret);
  const wanting: { readonly name: keyof ObjectSizes; readonly size: number }[] = [];
  for (const name of ['memberPoint', ...ORDER] as const) {
    const size = sizes[name];
    if (size !== undefined && (await isUndefined(tpm, map, name, size))) wanting.push({ name, size });
  }
  await requireHandles(tpm, (lacking.key ? 1 : 0) + (lacking.parent ? 1 : 0));
  try {
    await withHierarchy(tpm, map.hierarchy, hierarchyAuth, async (authority) => {
      for (const { name, size } of wanting)
        await release(tpm, await defineNv(tpm, authority, map.hierarchy, map.nv[name], size));
    });
    return await makeKeys();
  } catch (error) {
    if (!isFailure(error, 'tpm.nv-full')) throw error;
    await withHierarchy(tpm, map.hierarchy, hierarchyAuth, async (authority) => {
      for (const { name } of wanting) await removeIndex(tpm, authority, map.nv[name]);
      if (lacking.key) await removeKey(tpm, authority, map.daaKey);
    });
    throw nvFull(
      wanting.reduce((sum, { size }) => sum + size, 0),
      error,
    );
  }
}

async function removeIndex(tpm: Tpm, authority: Authority, handle: number): Promise<void> {
  const index = await findNv(tpm, handle);
  if (index !== undefined) await undefineNv(tpm, authority, index.object);
}

/** Takes a persistent key away, if it is there. */
export async function removeKey(tpm: Tpm, { session, hierarchy }: Authority, handle: number): Promise<void> {
  const key = await findObject(tpm, handle);
  if (key !== undefined) await tpm.call('evictControl', [session, hierarchy, key.object, handle]);
}

/** Which keys have to get a persistent handle. @throws Failure `tpm.occupied` */
async function lackingKeys(
  tpm: Tpm,
  map: HandleMap,
  suits: (publicArea: Uint8Array) => boolean,
): Promise<{ readonly key: boolean; readonly parent: boolean }> {
  const key = await findObject(tpm, map.daaKey);
  if (key !== undefined) {
    await release(tpm, key.object);
    if (!suits(key.publicArea)) throw occupied(map.daaKey, 'a key that is not ours');
  }
  return { key: key === undefined, parent: !(await hasParent(tpm)) };
}

async function requireHandles(tpm: Tpm, needed: number): Promise<void> {
  const answer = await tpm.call('capability', [CAPABILITY.properties, PROPERTY.persistentAvailable, 1]);
  const free = readProperties(answer.buffers[0]!).get(PROPERTY.persistentAvailable);
  if (free === undefined || free >= needed) return;
  throw new Failure(
    'tpm.handles-full',
    'operator',
    `the TPM has room for ${free} more persistent keys, and ${needed} are needed`,
    {
      action: 'Remove persistent keys that nobody needs: tpm2_getcap handles-persistent, tpm2_evictcontrol.',
    },
  );
}

/** False if our index is there. @throws Failure `tpm.occupied` if it is not ours */
async function isUndefined(
  tpm: Tpm,
  map: HandleMap,
  name: keyof ObjectSizes,
  size: number,
): Promise<boolean> {
  const index = await findNv(tpm, map.nv[name]);
  if (index === undefined) return true;
  await release(tpm, index.object);
  requireOurs(map, name, size, index);
  return false;
}

function nvFull(bytes: number, cause: unknown): Failure {
  return new Failure(
    'tpm.nv-full',
    'operator',
    `the TPM's NV memory has no room for the ${bytes} bytes that are needed; nothing was written`,
    {
      action: 'Free NV indexes that nobody needs: tpm2_getcap handles-nv-index, tpm2_nvundefine.',
      cause,
    },
  );
}

/**
 * Makes the ECDAA key at its persistent handle: a child of a storage primary in the map's hierarchy. A suitable key
 * that an interrupted run left is used; anything else at the handle is left alone. `publicArea` is the
 * TPMT_PUBLIC, 90 bytes, checked.
 * @throws Failure `tpm.occupied`, `tpm.hierarchy-locked`, `tpm.bad-public-area`
 */
export async function createDaaKey(
  tpm: Tpm,
  map: HandleMap,
  hierarchyAuth?: Uint8Array,
): Promise<{ readonly key: DaaKey; readonly publicArea: Uint8Array }> {
  if ((await readNv(tpm, map.nv.credential)) !== undefined)
    throw occupied(map.nv.credential, 'a credential: the TPM is personalised already');
  const there = await findObject(tpm, map.daaKey);
  if (there === undefined) await makeKey(tpm, map, hierarchyAuth);
  else if (!isSuitable(there.publicArea)) throw occupied(map.daaKey, 'a key that is not ours');
  if (there !== undefined) await release(tpm, there.object);
  return readBack(tpm, map);
}

async function makeKey(tpm: Tpm, map: HandleMap, hierarchyAuth: Uint8Array | undefined): Promise<void> {
  await withHierarchy(tpm, map.hierarchy, hierarchyAuth, async (authority) => {
    const primary = await createPrimary(tpm, authority);
    const key = await whileLoaded(tpm, primary, async () => {
      const made = await tpm.call('create', [0, primary], [DAA_TEMPLATE]);
      const [privateBlob, publicBlob] = [made.buffers[0]!, made.buffers[1]!];
      return objectOf(await tpm.call('load', [0, primary], [privateBlob, publicBlob]));
    });
    await release(tpm, await makePersistent(tpm, authority, key, map.daaKey));
  });
}

async function readBack(
  tpm: Tpm,
  map: HandleMap,
): Promise<{ readonly key: DaaKey; readonly publicArea: Uint8Array }> {
  const found = await findObject(tpm, map.daaKey);
  if (found === undefined) throw new Error('the key that was just made is gone');
  await release(tpm, found.object);
  return { key: await openDaaKey(tpm, map.daaKey), publicArea: found.publicArea };
}

function isSuitable(publicArea: Uint8Array): boolean {
  try {
    checkPublicArea(publicArea);
    return true;
  } catch {
    return false;
  }
}

/**
 * Defines and writes all NV objects, the credential last. Checks all of them first: if one is not ours, nothing
 * is written. What an interrupted run left is completed.
 * @throws Failure `tpm.occupied`, `tpm.hierarchy-locked`, `tpm.nv-full`
 */
export async function writeObjects(
  tpm: Tpm,
  map: HandleMap,
  objects: TpmObjects,
  hierarchyAuth?: Uint8Array,
): Promise<void> {
  const contents: Record<ObjectName, Uint8Array> = { ...objects, tlsRoot: ascii(objects.tlsRoot) };
  for (const name of ORDER) checkSize(name, contents[name]);
  const todo: ObjectName[] = [];
  for (const name of ORDER) if (await isWanting(tpm, map, name, contents[name])) todo.push(name);
  await withHierarchy(tpm, map.hierarchy, hierarchyAuth, async (authority) => {
    for (const name of todo) await writeObject(tpm, map, authority, name, contents[name]);
  });
}

function checkSize(name: ObjectName, content: Uint8Array): void {
  const { min, max } = OBJECT_SIZES[name];
  if (content.length < min || content.length > max)
    throw new Error(`${name}: expected ${min} to ${max} bytes, got ${content.length}`);
}

/** False if the index already holds the content. @throws Failure `tpm.occupied` if it is not ours to write */
async function isWanting(tpm: Tpm, map: HandleMap, name: ObjectName, content: Uint8Array): Promise<boolean> {
  const index = await findNv(tpm, map.nv[name]);
  if (index === undefined) return true;
  try {
    return await isUnfinished(tpm, map, name, content, index);
  } finally {
    await release(tpm, index.object);
  }
}

async function isUnfinished(
  tpm: Tpm,
  map: HandleMap,
  name: ObjectName,
  content: Uint8Array,
  index: NvIndex,
): Promise<boolean> {
  requireOurs(map, name, content.length, index);
  if (!isWritten(index.public)) return true;
  if (equal(await readIndex(tpm, index), content)) return false;
  if (name === 'credentialSignature' && (await readNv(tpm, map.nv.credential)) === undefined) return true;
  throw occupied(map.nv[name], `another ${name}`);
}

/** @throws Failure `tpm.occupied` */
function requireOurs(map: HandleMap, name: keyof ObjectSizes, expected: number, index: NvIndex): void {
  const { size } = index.public;
  if (!isOurs(map, index) || size !== expected)
    throw occupied(map.nv[name], `an object of ${size} bytes that is not ours`);
}

async function writeObject(
  tpm: Tpm,
  map: HandleMap,
  authority: Authority,
  name: ObjectName,
  content: Uint8Array,
): Promise<void> {
  const there = await findNv(tpm, map.nv[name]);
  const index =
    there?.object ?? (await defineNv(tpm, authority, map.hierarchy, map.nv[name], content.length));
  try {
    await writeNv(tpm, authority, index, content);
  } finally {
    await release(tpm, index);
  }
}
