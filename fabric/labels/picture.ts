import { Failure } from '../../protocol/failure.ts';
import { isPng, pngSize, type Size } from './png.ts';

/** A photo of a telephone has 12 to 50 million pixels. */
const MOST_PIXELS = 50_000_000;
const LONGEST_SIDE = 16_384;

/** What can be recognised by its first bytes but not read, as people call it. */
const OTHER_KINDS: readonly (readonly [name: string, pattern: RegExp])[] = [
  ['HEIC', /^.{4}ftyp(?:hei|hev|mif1|msf1)/s],
  ['AVIF', /^.{4}ftypavi/s],
  ['WebP', /^RIFF.{4}WEBP/s],
  ['GIF', /^GIF8/],
  ['TIFF', /^(?:II\*\0|MM\0\*)/],
  ['BMP', /^BM.{4}\0\0\0\0/s],
  ['PDF', /^%PDF/],
  ['SVG', /^(?:\xef\xbb\xbf)?\s*<(?:\?xml|!DOCTYPE svg|svg)/],
];

const JPEG_SIGNATURE = '\xff\xd8\xff';

const startOf = (bytes: Uint8Array): string => String.fromCharCode(...bytes.subarray(0, 64));

/** Is this a picture, of whatever kind, and no text? By its first bytes, whatever the name of the file. */
export function isPicture(bytes: Uint8Array): boolean {
  const start = startOf(bytes);
  return (
    isPng(bytes) || start.startsWith(JPEG_SIGNATURE) || OTHER_KINDS.some(([, pattern]) => pattern.test(start))
  );
}

/**
 * Checks what a picture says of itself before anybody decodes it: PNG or JPEG, of at most 50 million pixels. `name` names the
 * picture in the failure.
 * @throws Failure `label.not-a-picture`, `label.picture-too-large`
 */
export function checkPicture(bytes: Uint8Array, name: string): void {
  const start = startOf(bytes);
  const size = isPng(bytes) ? pngSize(bytes) : start.startsWith(JPEG_SIGNATURE) ? jpegSize(bytes) : undefined;
  if (size === undefined) throw notPicture(name, OTHER_KINDS.find(([, pattern]) => pattern.test(start))?.[0]);
  const { width, height } = size;
  if (width > LONGEST_SIDE || height > LONGEST_SIDE || width * height > MOST_PIXELS) {
    throw new Failure(
      'label.picture-too-large',
      'operator',
      `${name} has ${width} × ${height} pixels, expected at most ${MOST_PIXELS / 1e6} million and ${LONGEST_SIDE} on a side`,
      { action: 'Make the picture smaller, or cut it so that only the label is on it.' },
    );
  }
}

function notPicture(name: string, kind: string | undefined): Failure {
  const got = kind === undefined ? 'neither' : `a ${kind} file`;
  return new Failure(
    'label.not-a-picture',
    'operator',
    `${name}: expected a PNG or JPEG picture, got ${got}`,
    {
      action: 'Save the picture as PNG or JPEG, or give the text that came with the shipment.',
    },
  );
}

const u16 = (bytes: Uint8Array, at: number): number => (bytes[at]! << 8) | bytes[at + 1]!;

/** Of its frame header (ITU-T T.81, B.2.2): the first segment SOF0 to SOF15 that is no DHT, JPG or DAC. */
function jpegSize(bytes: Uint8Array): Size | undefined {
  for (let at = 2; at + 9 <= bytes.length && bytes[at] === 0xff; ) {
    const marker = bytes[at + 1]!;
    if (marker === 0xff) {
      at++;
    } else if (marker >= 0xc0 && marker <= 0xcf && marker !== 0xc4 && marker !== 0xc8 && marker !== 0xcc) {
      return { height: u16(bytes, at + 5), width: u16(bytes, at + 7) };
    } else {
      at += 2 + u16(bytes, at + 2);
    }
  }
  return undefined;
}
