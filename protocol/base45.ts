const ALPHABET = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ $%*+-./:';

/**
 * Base45 (RFC 9285): text of exactly the characters of a QR code's alphanumeric mode, which stores two of them
 * in 11 bits, so that a QR code of it is as small as one of the bytes themselves. Two bytes become three
 * characters, a last single byte two. The last character is never a space: trimming the text does no harm.
 */
export function encodeBase45(bytes: Uint8Array): string {
  let text = '';
  for (let i = 0; i < bytes.length; i += 2) {
    const pair = i + 1 < bytes.length;
    let value = pair ? bytes[i]! * 256 + bytes[i + 1]! : bytes[i]!;
    for (let digits = pair ? 3 : 2; digits > 0; digits--) {
      text += ALPHABET[value % 45]!;
      value = Math.floor(value / 45);
    }
  }
  return text;
}

/**
 * Decodes base45. Undefined for a foreign character, a single character left over, or a group whose value does
 * not fit its bytes; so each byte string has exactly one text.
 */
export function decodeBase45(text: string): Uint8Array | undefined {
  const rest = text.length % 3;
  if (rest === 1) return undefined;
  const bytes = new Uint8Array(Math.floor(text.length / 3) * 2 + (rest === 2 ? 1 : 0));
  let offset = 0;
  for (let i = 0; i < text.length; i += 3) {
    const low = ALPHABET.indexOf(text[i]!);
    const middle = ALPHABET.indexOf(text[i + 1]!);
    const whole = i + 2 < text.length;
    const high = whole ? ALPHABET.indexOf(text[i + 2]!) : 0;
    if (low < 0 || middle < 0 || high < 0) return undefined;
    const value = low + 45 * middle + 2025 * high;
    if (value > (whole ? 0xffff : 0xff)) return undefined;
    if (whole) bytes[offset++] = value >> 8;
    bytes[offset++] = value & 0xff;
  }
  return bytes;
}
