import type { BasenamePoint, Commitment, DaaKey } from '../protocol/crypto/daa-key.ts';
import { Failure } from '../protocol/failure.ts';
import type { Tpm, TpmObject } from './context.ts';
import { findObject, isCurrent, type PersistentObject } from './objects.ts';
import { checkPublicArea } from './public-area.ts';
import { ALGORITHM, encodePoint, encodeScheme, parsePoint, parseSignature } from './structures.ts';
import { malformed } from './wire.ts';

const EMPTY = new Uint8Array();
const POINT = 65;
const COORDINATE = 32;

/**
 * The ECDAA key at a persistent handle (ecdaa.md §9). It finds its key again after the TPM had to be opened anew.
 * `known`: what is there, if that was just looked up. @throws Failure `tpm.not-personalised`, `tpm.bad-public-area`
 */
export async function openDaaKey(
  tpm: Tpm,
  handle: number,
  known?: PersistentObject | undefined,
): Promise<DaaKey> {
  let { object, publicPoint } = await findKey(tpm, handle, known);
  const loaded = async (): Promise<TpmObject> => {
    if (!isCurrent(tpm, object)) ({ object } = await findKey(tpm, handle));
    return object;
  };
  return {
    publicPoint,
    commit: async (base, basename) => commit(tpm, await loaded(), base, basename),
  };
}

async function findKey(
  tpm: Tpm,
  handle: number,
  known?: PersistentObject,
): Promise<{ object: TpmObject; readonly publicPoint: Uint8Array }> {
  const found = known ?? (await findObject(tpm, handle));
  if (found === undefined) {
    throw new Failure('tpm.not-personalised', 'operator', `no ECDAA key at 0x${handle.toString(16)}`, {
      action: 'Personalise the TPM in the factory: enf-factory device personalise.',
    });
  }
  return { object: found.object, publicPoint: checkPublicArea(found.publicArea) };
}

/** TPM2_Commit: E = r·base, and with a basename K = sk·P2 and L = r·P2. Each commit has its counter in the TPM. */
async function commit(
  tpm: Tpm,
  key: TpmObject,
  base: Uint8Array,
  basename: BasenamePoint | undefined,
): Promise<Commitment> {
  const y2 = basename?.point.subarray(POINT - COORDINATE) ?? EMPTY;
  const answer = await tpm.call('commit', [0, key], [encodePoint(base), basename?.s2 ?? EMPTY, y2]);
  const [K, L, E] = answer.buffers.map(parsePoint);
  if (E === undefined || (basename !== undefined && (K === undefined || L === undefined)))
    throw malformed('commitment', 'a point is missing');
  const counter = answer.numbers[0]!;
  return {
    E,
    ...(K && { K }),
    ...(L && { L }),
    sign: (c1) => respond(tpm, key, counter, c1),
  };
}

/** TPM2_Sign with the commit counter: r is the TPM's nonce, s the response; both as the TPM gave them. */
async function respond(
  tpm: Tpm,
  key: TpmObject,
  counter: number,
  c1: Uint8Array,
): Promise<{ readonly nonce: Uint8Array; readonly s: Uint8Array }> {
  const scheme = encodeScheme({ algorithm: ALGORITHM.ecdaa, hash: ALGORITHM.sha256, count: counter });
  const answer = await tpm.call('sign', [0, key], [c1, scheme]);
  const signature = parseSignature(answer.buffers[0]!);
  if (signature.algorithm !== ALGORITHM.ecdaa)
    throw malformed('signature', `algorithm 0x${signature.algorithm.toString(16)}`);
  return { nonce: signature.r, s: signature.s };
}
