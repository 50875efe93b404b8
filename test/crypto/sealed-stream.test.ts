import { describe, expect, test } from 'vitest';
import { isSealedStream, openStream, sealStream } from '../../crypto/sealed-stream.ts';
import { concat } from '../../protocol/bytes.ts';
import { encodeUtf8 } from '../../protocol/utf8.ts';
import { expectFailure } from '../factory/folders.ts';

const words = encodeUtf8('correct horse');
const PIECE = 65_536;
const SEALED = PIECE + 16;
const HEADER = 24;

async function* inParts(bytes: Uint8Array, length: number): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += length) yield bytes.subarray(at, at + length);
}

async function all(chunks: AsyncIterable<Uint8Array>): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  for await (const chunk of chunks) parts.push(chunk);
  return concat(...parts);
}

const bytesOf = (length: number): Uint8Array => Uint8Array.from({ length }, (_, i) => (i * 7) >> 3);
const sealed = (length: number, parts = 10_000): Promise<Uint8Array> =>
  all(sealStream(inParts(bytesOf(length), parts), words));
const opened = (bytes: Uint8Array, passphrase = words, parts = 7_777): Promise<Uint8Array> =>
  all(openStream(inParts(bytes, parts), passphrase));

describe('[H-C2] a stream under a passphrase', () => {
  test.each([0, 1, PIECE - 1, PIECE, PIECE + 1, 3 * PIECE])('of %i bytes comes back', async (length) => {
    const bytes = await sealed(length);
    expect(isSealedStream(bytes)).toBe(true);
    expect(bytes.length).toBe(HEADER + length + 16 * Math.max(1, Math.ceil(length / PIECE)));
    expect(await opened(bytes)).toEqual(bytesOf(length));
    expect(await opened(bytes, words, bytes.length)).toEqual(bytesOf(length));
  });

  test('is different each time, and needs its passphrase', async () => {
    const [one, two] = [await sealed(100), await sealed(100)];
    expect(one.subarray(HEADER)).not.toEqual(two.subarray(HEADER));
    await expectFailure(opened(one, encodeUtf8('correct house')), 'os.wrong-passphrase');
  });

  test('no piece can be changed, exchanged, repeated, left out or cut', async () => {
    const bytes = await sealed(3 * PIECE + 10);
    const piece = (n: number): Uint8Array => bytes.subarray(HEADER + n * SEALED, HEADER + (n + 1) * SEALED);
    const start = bytes.subarray(0, HEADER);
    const flipped = bytes.slice();
    flipped[HEADER + SEALED + 5]! ^= 1;
    for (const forged of [
      flipped,
      concat(start, piece(0), piece(2), piece(1), piece(3)),
      concat(start, piece(0), piece(0), piece(1), piece(2), piece(3)),
      concat(start, piece(0), piece(2), piece(3)),
      concat(start, piece(0), piece(1), piece(2)),
      bytes.subarray(0, -1),
      concat(bytes, Uint8Array.of(0)),
    ])
      await expectFailure(opened(forged), 'os.bad-container');
    await expectFailure(opened(concat(start, piece(1), piece(2), piece(3))), 'os.wrong-passphrase');
  });

  test('parameters that would cost gigabytes, other versions and stumps are refused before any work', async () => {
    const bytes = await sealed(10);
    for (const [at, value] of [
      [0, 0],
      [4, 2],
      [5, 21],
      [6, 9],
      [7, 5],
    ] as const)
      await expectFailure(opened(bytes.map((byte, i) => (i === at ? value : byte))), 'os.bad-container');
    for (const length of [0, 4, 23])
      await expectFailure(opened(bytes.subarray(0, length)), 'os.bad-container');
    for (const length of [24, 30]) await expectFailure(opened(bytes.subarray(0, length)), 'os.bad-container');
  });
});
