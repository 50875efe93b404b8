import { createHash, randomBytes } from 'node:crypto';

/** Crockford's base32: no letter is taken for a digit. */
const ALPHABET = '0123456789abcdefghjkmnpqrstvwxyz';
const GROUPS = 4;
const GROUP_LENGTH = 4;
const FORM = new RegExp(`^(?:[${ALPHABET}]{${GROUP_LENGTH}}-){${GROUPS - 1}}[${ALPHABET}]{${GROUP_LENGTH}}$`);

/** New codes, each of 80 random bits, that somebody may copy from paper: each stands in for something once. */
export function issueCodes(count: number): string[] {
  return Array.from({ length: count }, () => {
    const letters = [...randomBytes(GROUPS * GROUP_LENGTH)].map((byte) => ALPHABET[byte % ALPHABET.length]);
    return letters.join('').replace(/.{4}(?=.)/g, '$&-');
  });
}

/** The hash by which a code is looked up, however it was typed; undefined if the text has not the form of one. */
export function codeHash(text: string): Uint8Array | undefined {
  const code = text.trim().toLowerCase();
  return FORM.test(code) ? new Uint8Array(createHash('sha256').update(code).digest()) : undefined;
}
