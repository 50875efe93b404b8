import { ascii, concat, u32 } from '../../protocol/bytes.ts';
import { crc32 } from '../../protocol/crc32.ts';
import { deflate } from './deflate.ts';

const SIGNATURE = Uint8Array.of(0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a);

/**
 * A square black and white PNG of `size` dots (PNG, ISO/IEC 15948: one bit per dot) that says how large it is on
 * paper, so that a printer program does not scale it.
 */
export function encodePng(
  size: number,
  dotsPerInch: number,
  isDark: (x: number, y: number) => boolean,
): Uint8Array {
  const rowLength = 1 + Math.ceil(size / 8);
  const rows = new Uint8Array(rowLength * size);
  for (let y = 0; y < size; y++) {
    for (let x = 0; x < size; x++) {
      if (!isDark(x, y)) rows[y * rowLength + 1 + (x >> 3)]! |= 0x80 >> (x & 7);
    }
  }
  const dotsPerMetre = u32(Math.round(dotsPerInch / 0.0254));
  return concat(
    SIGNATURE,
    chunk('IHDR', u32(size), u32(size), Uint8Array.of(1, 0, 0, 0, 0)),
    chunk('pHYs', dotsPerMetre, dotsPerMetre, Uint8Array.of(1)),
    chunk('IDAT', deflate(rows)),
    chunk('IEND'),
  );
}

function chunk(type: string, ...parts: readonly Uint8Array[]): Uint8Array {
  const data = concat(...parts);
  const body = concat(ascii(type), data);
  return concat(u32(data.length), body, u32(crc32(body)));
}
