import { deflateSync } from 'node:zlib';
import { ascii, concat, u32 } from '../../../protocol/bytes.ts';
import { crc32 } from '../../../protocol/crc32.ts';

const chunk = (type: string, data: Uint8Array): Uint8Array => {
  const body = concat(ascii(type), data);
  return concat(u32(data.length), body, u32(crc32(body)));
};

/** A PNG of white 8-bit pixels whose header says `width` × `height`, with `length` bytes of data behind the compression. */
export function png(width: number, height: number, length: number, colourType = 0): Uint8Array {
  return concat(
    Uint8Array.of(0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a),
    chunk('IHDR', concat(u32(width), u32(height), Uint8Array.of(8, colourType, 0, 0, 0))),
    chunk('IDAT', deflateSync(new Uint8Array(length).fill(255))),
    chunk('IEND', new Uint8Array()),
  );
}

/** The start of a JPEG with a comment and a frame header of these dimensions. */
export function jpeg(width: number, height: number, frame = 0xc2): Uint8Array {
  const side = (value: number): number[] => [value >> 8, value & 0xff];
  return Uint8Array.of(
    ...[0xff, 0xd8, 0xff, 0xfe, 0, 4, 0xff, 0xc0],
    ...[0xff, 0xff, frame, 0, 11, 8, ...side(height), ...side(width), 1, 1, 0x11, 0],
    ...[0xff, 0xd9],
  );
}
