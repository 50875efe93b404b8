import { addon } from '../native/index.ts';
import { failureOf, isAbsent } from './codes.ts';
import { objectOf, type Tpm, type TpmObject } from './context.ts';
import { type PublicArea, parsePublic } from './structures.ts';
import { contentOf } from './wire.ts';

/** A persistent object: its ESYS number and its TPMT_PUBLIC, raw and read. */
export interface PersistentObject {
  readonly object: TpmObject;
  readonly publicArea: Uint8Array;
  readonly area: PublicArea;
}

/** What is at a handle, as `lookup` gives it; undefined if nothing is there. One TPM command. */
export async function lookup(
  tpm: Tpm,
  handle: number,
): Promise<{ readonly object: TpmObject; readonly wire: Uint8Array } | undefined> {
  const answer = await tpm.ask('lookup', [handle]);
  if (isAbsent(answer.rc)) return undefined;
  if (answer.rc !== 0)
    throw failureOf(answer.rc, `lookup 0x${handle.toString(16)}`, addon().tssDecode(answer.rc));
  return { object: objectOf(answer), wire: answer.buffers[0]! };
}

/** The persistent object at `handle`, or undefined. @throws Failure `tpm.malformed` and those of `Tpm.call` */
export async function findObject(tpm: Tpm, handle: number): Promise<PersistentObject | undefined> {
  const found = await lookup(tpm, handle);
  if (found === undefined) return undefined;
  const publicArea = contentOf('public area', found.wire);
  return { object: found.object, publicArea, area: parsePublic(publicArea) };
}

/** Does `work` with a transient object and always flushes it: without a resource manager there are only three slots. */
export async function whileLoaded<T>(
  tpm: Tpm,
  object: TpmObject,
  work: (object: TpmObject) => Promise<T>,
): Promise<T> {
  try {
    return await work(object);
  } finally {
    await flush(tpm, object);
  }
}

/** Flushes a transient object; one that is gone with its connection is flushed already. */
export async function flush(tpm: Tpm, object: TpmObject): Promise<void> {
  if (!isCurrent(tpm, object)) return;
  await tpm.ask('flush', [object]).catch(() => {});
}

/** Releases the ESYS number of a persistent object or NV index, without a TPM command. */
export async function release(tpm: Tpm, object: TpmObject): Promise<void> {
  if (!isCurrent(tpm, object)) return;
  await tpm.ask('release', [object]).catch(() => {});
}

/** False once the connection in which the object was loaded is gone. */
export function isCurrent(tpm: Tpm, object: TpmObject): boolean {
  return tpm.alive && object.generation === tpm.generation;
}
