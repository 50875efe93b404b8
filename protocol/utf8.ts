/** Encodes text as UTF-8; a lone surrogate becomes U+FFFD (TextEncoder is not in the pure library set). */
export function encodeUtf8(text: string): Uint8Array {
  const bytes: number[] = [];
  for (const character of text) {
    const codePoint = character.codePointAt(0)!;
    const c = codePoint >= 0xd800 && codePoint <= 0xdfff ? 0xfffd : codePoint;
    if (c < 0x80) bytes.push(c);
    else if (c < 0x800) bytes.push(0xc0 | (c >> 6), continuation(c));
    else if (c < 0x10000) bytes.push(0xe0 | (c >> 12), continuation(c >> 6), continuation(c));
    else bytes.push(0xf0 | (c >> 18), continuation(c >> 12), continuation(c >> 6), continuation(c));
  }
  return Uint8Array.from(bytes);
}

const continuation = (bits: number): number => 0x80 | (bits & 0x3f);

/**
 * Decodes strict UTF-8 (RFC 3629: no overlong forms, no surrogates, nothing above U+10FFFF), so that what it
 * accepts encodes to the same bytes. Undefined for anything else.
 */
export function decodeUtf8(bytes: Uint8Array): string | undefined {
  let text = '';
  let i = 0;
  while (i < bytes.length) {
    const first = bytes[i]!;
    const length = sequenceLength(first);
    if (length === 0 || i + length > bytes.length) return undefined;
    let c = length === 1 ? first : first & (0x7f >> length);
    for (let k = 1; k < length; k++) {
      const next = bytes[i + k]!;
      if ((next & 0xc0) !== 0x80) return undefined;
      c = (c << 6) | (next & 0x3f);
    }
    if (c < SMALLEST[length]! || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff)) return undefined;
    text += String.fromCodePoint(c);
    i += length;
  }
  return text;
}

/** The smallest code point that needs a sequence of this length: anything below is an overlong form. */
const SMALLEST = [0, 0, 0x80, 0x800, 0x10000];

function sequenceLength(first: number): number {
  if (first < 0x80) return 1;
  if ((first & 0xe0) === 0xc0) return 2;
  if ((first & 0xf0) === 0xe0) return 3;
  if ((first & 0xf8) === 0xf0) return 4;
  return 0;
}
