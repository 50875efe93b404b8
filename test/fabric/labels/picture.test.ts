import { describe, expect, test } from 'vitest';
import { checkPicture, isPicture } from '../../../fabric/labels/picture.ts';
import { checkCompression } from '../../../fabric/labels/png.ts';
import { ascii, concat } from '../../../protocol/bytes.ts';
import { Failure } from '../../../protocol/failure.ts';
import { jpeg, png } from './pictures.ts';

const refusal = (work: () => unknown): Failure | undefined => {
  try {
    work();
    return undefined;
  } catch (error) {
    if (error instanceof Failure) return error;
    throw error;
  }
};

describe('[H-A7] a picture is judged by its header', () => {
  test.each([
    ['a PNG of a telephone', png(8_000, 6_000, 1)],
    ['a JPEG of a telephone', jpeg(6_000, 8_000)],
    ['a baseline JPEG', jpeg(100, 100, 0xc0)],
  ])('%s is decoded', (_, bytes) => {
    expect(isPicture(bytes)).toBe(true);
    expect(refusal(() => checkPicture(bytes, 'label'))).toBeUndefined();
  });

  test.each([
    ['a PNG of 400 million pixels', png(20_000, 20_000, 1)],
    ['a PNG that is 4 billion pixels wide', png(0xffff_ffff, 1, 1)],
    ['a PNG of 51 million pixels', png(8_000, 6_400, 1)],
    ['a JPEG of 4 billion pixels', jpeg(65_535, 65_535)],
    ['a JPEG with a long side', jpeg(20_000, 100)],
  ])('%s is refused', (_, bytes) => {
    expect(refusal(() => checkPicture(bytes, 'label'))).toMatchObject({ code: 'label.picture-too-large' });
  });

  test.each([
    ['HEIC', concat(Uint8Array.of(0, 0, 0, 24), ascii('ftypheic'))],
    ['AVIF', concat(Uint8Array.of(0, 0, 0, 24), ascii('ftypavif'))],
    ['WebP', concat(ascii('RIFF'), Uint8Array.of(1, 2, 3, 4), ascii('WEBPVP8 '))],
    ['GIF', ascii('GIF89a')],
    ['TIFF', ascii('II*\0')],
    ['BMP', concat(ascii('BM'), new Uint8Array(12))],
    ['PDF', ascii('%PDF-1.7')],
    ['SVG', ascii('<?xml version="1.0"?><svg/>')],
    ['SVG', ascii('\n <svg xmlns="x"/>')],
  ])('[H-C12] %s is called by its name', (kind, bytes) => {
    expect(isPicture(bytes)).toBe(true);
    const failure = refusal(() => checkPicture(bytes, 'label.heic'));
    expect(failure).toMatchObject({ code: 'label.not-a-picture' });
    expect(failure?.message).toContain(kind);
  });

  test.each([
    ['nothing', new Uint8Array()],
    ['text', ascii('ENF1:ABC')],
    ['half a PNG header', png(10, 10, 1).subarray(0, 20)],
    ['a JPEG without a frame', Uint8Array.of(0xff, 0xd8, 0xff, 0xd9)],
    ['a JPEG of fill bytes', new Uint8Array(100_000).fill(0xff)],
    ['a JPEG of empty segments', Uint8Array.of(0xff, 0xd8, ...Array(500).fill([0xff, 0xe0, 0, 0]).flat())],
  ])('%s is none', (_, bytes) => {
    expect(refusal(() => checkPicture(bytes, 'label'))).toMatchObject({ code: 'label.not-a-picture' });
  });
});

describe("[H-A7] a PNG's data", () => {
  test.each([
    ['as many as its pixels need', png(300, 200, 200 * 301)],
    ['of four samples', png(300, 200, 200 * 1_201, 6)],
    ['fewer', png(300, 200, 5)],
    ['damaged', png(300, 200, 200 * 301).map((byte, i) => (i === 60 ? byte ^ 0xff : byte))],
  ])('are decoded: %s', async (_, bytes) => {
    await checkCompression(bytes, 'label');
  });

  test('are refused if there are more than its pixels need', async () => {
    await expect(checkCompression(png(300, 200, 50_000_000), 'label')).rejects.toMatchObject({
      code: 'label.picture-too-large',
    });
  });
});
