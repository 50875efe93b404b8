import { Failure } from '../protocol/failure.ts';
import type { Tpm } from './context.ts';
import { HANDLE_MAPS, type HandleMap } from './handles.ts';
import { readKnownNv, readNv } from './nv.ts';

/** What the factory wrote and a device needs to provision. The secret key stays behind `map.daaKey`. */
export interface TpmMembership {
  readonly map: HandleMap;
  /** Group public key, 258 bytes. */
  readonly gpk: Uint8Array;
  /** 260 bytes. */
  readonly credential: Uint8Array;
  /** 1–64 bytes. */
  readonly basename: Uint8Array;
  /** XTT root certificate, 81 bytes. */
  readonly xttRoot: Uint8Array;
}

/** Everything that the factory wrote for the device. */
export interface TpmCredential extends TpmMembership {
  /** PEM text of the CA of the tunnel's TLS. */
  readonly tlsRoot?: string;
}

/** Exact sizes in bytes; the variable ones have an upper bound. */
export const OBJECT_SIZES = {
  gpk: { min: 258, max: 258 },
  credential: { min: 260, max: 260 },
  credentialSignature: { min: 64, max: 64 },
  tlsRoot: { min: 1, max: 2048 },
  basename: { min: 1, max: 64 },
  xttRoot: { min: 81, max: 81 },
  memberPoint: { min: 65, max: 65 },
} as const satisfies Record<keyof HandleMap['nv'], { min: number; max: number }>;

const NEEDED = ['gpk', 'credential', 'basename', 'xttRoot'] as const;

/**
 * Reads the credential of whichever handle map is there, platform first.
 * @throws Failure `tpm.not-personalised`, `tpm.bad-object`
 */
export async function readCredential(tpm: Tpm): Promise<TpmCredential> {
  const membership = await readMembership(tpm);
  const tlsRoot = await readTlsRoot(tpm, membership.map);
  return { ...membership, ...(tlsRoot !== undefined && { tlsRoot }) };
}

/** The part of it that provisioning needs: one TPM command for each object of a fixed size, two for the basename.
 * @throws Failure `tpm.not-personalised`, `tpm.bad-object`
 */
export async function readMembership(tpm: Tpm): Promise<TpmMembership> {
  const lacks: string[] = [];
  for (const map of HANDLE_MAPS) {
    const found = await readMap(tpm, map);
    if (!Array.isArray(found)) return found as TpmMembership;
    lacks.push(`${map.hierarchy}: no ${found.join(', ')}`);
  }
  throw new Failure('tpm.not-personalised', 'operator', `the TPM holds no credential (${lacks.join('; ')})`, {
    action: 'Personalise it in the factory: enf-factory device personalise.',
  });
}

/** PEM text of the CA of the tunnel's TLS, if the factory wrote one. @throws Failure `tpm.bad-object` */
export async function readTlsRoot(tpm: Tpm, map: HandleMap): Promise<string | undefined> {
  const tlsRoot = await readObject(tpm, map, 'tlsRoot');
  return tlsRoot && String.fromCharCode(...tlsRoot);
}

/** The credential of one map, or the names of what is missing. */
async function readMap(tpm: Tpm, map: HandleMap): Promise<TpmMembership | readonly string[]> {
  const objects: Partial<Record<(typeof NEEDED)[number], Uint8Array>> = {};
  for (const name of NEEDED) {
    const content = await readObject(tpm, map, name);
    if (content !== undefined) objects[name] = content;
    // Nothing at the first index: the others are not read.
    else if (name === NEEDED[0]) return NEEDED;
  }
  const { gpk, credential, basename, xttRoot } = objects;
  if (!gpk || !credential || !basename || !xttRoot)
    return NEEDED.filter((name) => objects[name] === undefined);
  return { map, gpk, credential, basename, xttRoot };
}

async function readObject(
  tpm: Tpm,
  map: HandleMap,
  name: keyof HandleMap['nv'],
): Promise<Uint8Array | undefined> {
  const { min, max } = OBJECT_SIZES[name];
  const content = min === max ? await readKnownNv(tpm, map.nv[name], min) : await readNv(tpm, map.nv[name]);
  if (content === undefined || (content.length >= min && content.length <= max)) return content;
  throw new Failure(
    'tpm.bad-object',
    'operator',
    `NV index 0x${map.nv[name].toString(16)} (${name}): expected ${min === max ? min : `${min} to ${max}`} bytes, got ${content.length}`,
    {
      action:
        'Another program uses this NV index, or the TPM was personalised wrongly: run "enf-factory inspect".',
    },
  );
}
