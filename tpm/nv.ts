import { concat } from '../protocol/bytes.ts';
import { CAPABILITY, PROPERTY, readProperties } from './capability.ts';
import { base, isAbsent, RC } from './codes.ts';
import { objectOf, type Tpm, type TpmObject } from './context.ts';
import type { Authority } from './hierarchy.ts';
import { lookup, release } from './objects.ts';
import { ALGORITHM, encodeNvPublic, type NvPublic, parseNvPublic } from './structures.ts';
import { malformed } from './wire.ts';

/** TPMA_NV. */
export const NV = {
  ppWrite: 0x0000_0001,
  ownerWrite: 0x0000_0002,
  authRead: 0x0004_0000,
  noDa: 0x0200_0000,
  written: 0x2000_0000,
  platformCreate: 0x4000_0000,
} as const;

/** Every TPM reads and writes this many bytes at once; only for longer content is its limit queried. */
const SAFE_CHUNK = 512;

export interface NvIndex {
  readonly object: TpmObject;
  readonly public: NvPublic;
}

/**
 * Attributes of our indexes: anyone reads, the hierarchy writes. noDA so that reading is not subject to lockout and
 * does not answer RETRY once after each start.
 */
export function nvAttributes(hierarchy: 'platform' | 'owner'): number {
  return hierarchy === 'platform'
    ? NV.ppWrite | NV.authRead | NV.platformCreate | NV.noDa
    : NV.ownerWrite | NV.authRead | NV.noDa;
}

/** The index, or undefined if it is not defined. One TPM command; `release` its object. */
export async function findNv(tpm: Tpm, index: number): Promise<NvIndex | undefined> {
  const found = await lookup(tpm, index);
  return found && { object: found.object, public: parseNvPublic(found.wire) };
}

/** The content of an index, or undefined if it is not defined or not yet written. */
export async function readNv(tpm: Tpm, index: number): Promise<Uint8Array | undefined> {
  const nv = await findNv(tpm, index);
  if (nv === undefined) return undefined;
  try {
    return isWritten(nv.public) ? await readIndex(tpm, nv) : undefined;
  } finally {
    await release(tpm, nv.object);
  }
}

/**
 * The content of an index that should have exactly `size` bytes, at most 512: one TPM command, and the two of `readNv` if
 * that is not so. Undefined if it is not defined or not yet written. Of a longer index it gives the beginning.
 */
export async function readKnownNv(tpm: Tpm, index: number, size: number): Promise<Uint8Array | undefined> {
  const answer = await tpm.ask('nvReadKnown', [index, size, 0]);
  const content = answer.buffers[0];
  if (answer.rc === 0 && content?.length === size) return content;
  if (isAbsent(answer.rc) || base(answer.rc) === RC.nvUninitialized) return undefined;
  // A shorter or locked index, or another error: `readNv` reports which.
  return readNv(tpm, index);
}

export function isWritten(nv: NvPublic): boolean {
  return (nv.attributes & NV.written) !== 0;
}

/** Reads the whole of a written index, in chunks of the TPM's NV buffer. */
export async function readIndex(tpm: Tpm, nv: NvIndex): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  for (const [offset, length] of chunks(nv.public.size, await chunkSize(tpm, nv.public.size))) {
    const answer = await tpm.call('nvRead', [0, nv.object, length, offset]);
    const part = answer.buffers[0]!;
    if (part.length !== length) throw malformed('NV read', `${part.length} of ${length} bytes`);
    parts.push(part);
  }
  return concat(...parts);
}

/** Defines an index of exactly `size` bytes with our attributes; `release` the object. */
export async function defineNv(
  tpm: Tpm,
  authority: Authority,
  hierarchy: 'platform' | 'owner',
  index: number,
  size: number,
): Promise<TpmObject> {
  const wire = encodeNvPublic({
    index,
    nameAlgorithm: ALGORITHM.sha256,
    attributes: nvAttributes(hierarchy),
    policy: new Uint8Array(),
    size,
  });
  return objectOf(await tpm.call('nvDefine', [authority.session, authority.hierarchy], [wire]));
}

/** Removes an index. */
export async function undefineNv(tpm: Tpm, authority: Authority, index: TpmObject): Promise<void> {
  await tpm.call('nvUndefine', [authority.session, authority.hierarchy, index]);
}

/** True if the index has our attributes. */
export const isOurs = (map: { readonly hierarchy: 'platform' | 'owner' }, index: NvIndex): boolean =>
  (index.public.attributes & ~NV.written) === nvAttributes(map.hierarchy);

/** Writes the whole of an index, in chunks of the TPM's NV buffer. */
export async function writeNv(
  tpm: Tpm,
  authority: Authority,
  index: TpmObject,
  content: Uint8Array,
): Promise<void> {
  for (const [offset, length] of chunks(content.length, await chunkSize(tpm, content.length))) {
    await tpm.call(
      'nvWrite',
      [authority.session, authority.hierarchy, index, offset],
      [content.subarray(offset, offset + length)],
    );
  }
}

function* chunks(size: number, chunk: number): Generator<readonly [offset: number, length: number]> {
  for (let offset = 0; offset < size; offset += chunk) yield [offset, Math.min(chunk, size - offset)];
}

async function chunkSize(tpm: Tpm, size: number): Promise<number> {
  if (size <= SAFE_CHUNK) return SAFE_CHUNK;
  const answer = await tpm.call('capability', [CAPABILITY.properties, PROPERTY.nvBufferMax, 1]);
  const max = readProperties(answer.buffers[0]!).get(PROPERTY.nvBufferMax) ?? SAFE_CHUNK;
  return Math.max(SAFE_CHUNK, Math.min(max, 2048));
}
