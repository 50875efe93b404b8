import { Readable } from 'node:stream';
import { constants, createInflate } from 'node:zlib';
import { ascii, equal, readU32 } from '../../protocol/bytes.ts';
import { Failure } from '../../protocol/failure.ts';

/** In pixels. */
export interface Size {
  readonly width: number;
  readonly height: number;
}

const SIGNATURE = Uint8Array.of(0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a);
const IHDR = readU32(ascii('IHDR'), 0);
const IDAT = readU32(ascii('IDAT'), 0);

export const isPng = (bytes: Uint8Array): boolean => equal(bytes.subarray(0, SIGNATURE.length), SIGNATURE);

/** Of its first chunk, IHDR (PNG specification, 11.2.2). */
export function pngSize(bytes: Uint8Array): Size | undefined {
  if (bytes.length < 33 || readU32(bytes, 12) !== IHDR) return undefined;
  return { width: readU32(bytes, 16), height: readU32(bytes, 20) };
}

/** The samples of a pixel by the colour type of IHDR (PNG specification, table 11.1). */
const SAMPLES: Readonly<Record<number, number>> = { 0: 1, 2: 3, 3: 1, 4: 2, 6: 4 };

/**
 * Checks that a PNG's compressed data are not longer than its pixels: a decoder that trusts them would fill the memory. Inflates
 * them piece by piece and keeps nothing. A JPEG is left alone: it has no data beyond its pixels.
 * @throws Failure `label.picture-too-large`
 */
export async function checkCompression(bytes: Uint8Array, name: string): Promise<void> {
  const size = isPng(bytes) ? pngSize(bytes) : undefined;
  if (size === undefined) return;
  const bits = size.width * bytes[24]! * (SAMPLES[bytes[25]!] ?? 4);
  // Interlaced, each of the seven passes begins its lines with a byte and fills their last one up.
  const most =
    (Math.ceil(bits / 8) + 1) * size.height + (bytes[28] === 1 ? 16 * (size.height + size.width) : 0);
  if ((await inflatesBeyond(imageData(bytes), most)) === false) return;
  throw new Failure(
    'label.picture-too-large',
    'operator',
    `${name} holds more data than its ${size.width} × ${size.height} pixels need`,
    { action: 'Take another picture: this one is damaged, or made to do harm.' },
  );
}

/** The contents of the IDAT chunks, in order. */
function* imageData(bytes: Uint8Array): Generator<Uint8Array> {
  for (let at = 8; at + 12 <= bytes.length; ) {
    const length = readU32(bytes, at);
    if (readU32(bytes, at + 4) === IDAT) yield bytes.subarray(at + 8, at + 8 + length);
    at += 12 + length;
  }
}

async function inflatesBeyond(data: Iterable<Uint8Array>, most: number): Promise<boolean> {
  const inflate = createInflate({ finishFlush: constants.Z_SYNC_FLUSH });
  const source = Readable.from(data).on('error', () => {});
  let length = 0;
  try {
    for await (const piece of source.pipe(inflate)) {
      length += (piece as Buffer).length;
      if (length > most) return true;
    }
  } catch {
    // Damaged data end where they are damaged, for the decoder as well.
  } finally {
    source.destroy();
  }
  return false;
}
