import { equal, wipe } from '../protocol/bytes.ts';
import { Failure } from '../protocol/failure.ts';
import { occupied } from './codes.ts';
import { objectOf, type Tpm } from './context.ts';
import type { HandleMap } from './handles.ts';
import { type Authority, withHierarchy } from './hierarchy.ts';
import { defineNv, findNv, isWritten, readIndex, readKnownNv, writeNv } from './nv.ts';
import { findObject, release, whileLoaded } from './objects.ts';
import { createPrimary, makePersistent } from './parent.ts';
import { commandPolicy, seal, UNSEAL, unseal } from './sealing.ts';
import { ATTRIBUTE, encodeSealedPublic } from './structures.ts';
import { sized } from './wire.ts';

/*
 * A member's secret in a TPM that cannot do ECDAA: a sealed object at the handle of the ECDAA key, and its public point in NV memory. The TPM keeps
 * it, and gives it to whoever may use the TPM: it can be copied then, as a key that was made in the TPM cannot.
 */

const POINT = 65;
const SECRET = 32;
const DIGEST = 32;

/**
 * Without userWithAuth nobody unseals it with the empty password alone. noDA, as all of ours: there is no password that could be guessed, and
 * others' wrong ones must not strand a device. adminWithPolicy is clear so that the TPM can prove that it holds the object (TPM2_ActivateCredential).
 */
const ATTRIBUTES = ATTRIBUTE.fixedTpm | ATTRIBUTE.fixedParent | ATTRIBUTE.noDa;

const areaWith = (unique: Uint8Array): Uint8Array =>
  encodeSealedPublic({ attributes: ATTRIBUTES, policy: commandPolicy(UNSEAL), unique });

/** True for the TPMT_PUBLIC of a sealed secret of ours. */
export function isSealedSecret(publicArea: Uint8Array): boolean {
  const expected = areaWith(new Uint8Array(DIGEST));
  const head = expected.length - DIGEST;
  return (
    publicArea.length === expected.length && equal(publicArea.subarray(0, head), expected.subarray(0, head))
  );
}

/**
 * The secret at the handle, 32 bytes, in memory that can be wiped; the caller does. @throws Failure `tpm.not-personalised`, `tpm.bad-object`
 */
export async function openSealedSecret(tpm: Tpm, handle: number): Promise<Uint8Array> {
  const found = await findObject(tpm, handle);
  if (found === undefined) {
    throw new Failure('tpm.not-personalised', 'operator', `no sealed secret at 0x${handle.toString(16)}`, {
      action: 'Personalise the TPM in the factory: enf-factory device personalise.',
    });
  }
  try {
    if (!isSealedSecret(found.publicArea)) throw badSecret(handle, 'another kind of object');
    const secret = await unseal(tpm, found.object, (session) => tpm.call('policyCommand', [session, UNSEAL]));
    if (secret.length === SECRET) return secret;
    wipe(secret);
    throw badSecret(handle, `${secret.length} bytes`);
  } finally {
    await release(tpm, found.object);
  }
}

/** The public point beside a sealed secret, 65 bytes; undefined if it was not written. */
export const readMemberPoint = (tpm: Tpm, map: HandleMap): Promise<Uint8Array | undefined> =>
  readKnownNv(tpm, map.nv.memberPoint, POINT);

/** Draws and knows secrets: the curve is not the TPM's. */
export interface SecretMaker {
  /** 32 bytes in memory that can be wiped. */
  draw(): Uint8Array;
  /** 65 bytes. @throws Failure `ecdaa.bad-member-secret` */
  pointOf(secret: Uint8Array): Uint8Array;
}

/**
 * Makes a member's secret, seals it at the handle of the map, and writes its point. One that an interrupted run left is used; anything else at the
 * handle is left alone. The secret is wiped before this returns. `publicArea` is the TPMT_PUBLIC.
 * @throws Failure `tpm.occupied`, `tpm.hierarchy-locked`
 */
export async function createSealedSecret(
  tpm: Tpm,
  map: HandleMap,
  maker: SecretMaker,
  hierarchyAuth?: Uint8Array,
): Promise<{ readonly publicPoint: Uint8Array; readonly publicArea: Uint8Array }> {
  if ((await readKnownNv(tpm, map.nv.credential, 260)) !== undefined)
    throw occupied(map.nv.credential, 'a credential: the TPM is personalised already');
  const there = await findObject(tpm, map.daaKey);
  if (there !== undefined) await release(tpm, there.object);
  if (there !== undefined && !isSealedSecret(there.publicArea))
    throw occupied(map.daaKey, 'a key that is not ours');
  const secret = there === undefined ? maker.draw() : await openSealedSecret(tpm, map.daaKey);
  try {
    const publicPoint = maker.pointOf(secret);
    await withHierarchy(tpm, map.hierarchy, hierarchyAuth, async (authority) => {
      if (there === undefined) await keepSecret(tpm, map, authority, secret);
      await writePoint(tpm, map, authority, publicPoint);
    });
    const made = await findObject(tpm, map.daaKey);
    if (made === undefined) throw new Error('the secret that was just sealed is gone');
    await release(tpm, made.object);
    return { publicPoint, publicArea: made.publicArea };
  } finally {
    wipe(secret);
  }
}

async function keepSecret(tpm: Tpm, map: HandleMap, authority: Authority, secret: Uint8Array): Promise<void> {
  const template = sized(areaWith(new Uint8Array()));
  const primary = await createPrimary(tpm, authority);
  const object = await whileLoaded(tpm, primary, async () => {
    const blobs = await seal(tpm, primary, { template, password: new Uint8Array(), secret });
    return objectOf(await tpm.call('load', [0, primary], blobs));
  });
  await release(tpm, await makePersistent(tpm, authority, object, map.daaKey));
}

/** Writes the point of the secret that is there now; of one that is gone the index may hold another. */
async function writePoint(tpm: Tpm, map: HandleMap, authority: Authority, point: Uint8Array): Promise<void> {
  const there = await findNv(tpm, map.nv.memberPoint);
  const index = there?.object ?? (await defineNv(tpm, authority, map.hierarchy, map.nv.memberPoint, POINT));
  try {
    const same = there !== undefined && isWritten(there.public) && equal(await readIndex(tpm, there), point);
    if (!same) await writeNv(tpm, authority, index, point);
  } finally {
    await release(tpm, index);
  }
}

function badSecret(handle: number, got: string): Failure {
  return new Failure(
    'tpm.bad-object',
    'operator',
    `0x${handle.toString(16)}: expected a sealed secret of ${SECRET} bytes, got ${got}`,
    {
      action:
        'Another program uses this handle, or the TPM was personalised wrongly: run "enf-factory inspect".',
    },
  );
}
