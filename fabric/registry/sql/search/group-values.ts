/** Which groups of an IPv6 address, as they are printed (RFC 5952: lower case, no zeros in front), a part of its text can stand in. Pure. */

/** Digits of a group at most. */
const DIGITS = 4;
/** A quarter of all groups have one digit somewhere: nothing is gained by looking for each of them. */
const MOST_VALUES = 8_192;

/**
 * The values of one group that an address with this text must have; undefined if there are too many to look for. `text`: up to 20 hexadecimal
 * digits and colons. What has one of these values need not have the text.
 */
export function groupValues(text: string): readonly number[] | undefined {
  const tokens = text.split(':');
  const last = tokens.length - 1;
  const possible = tokens
    .map((digits, i) => ({ digits, begins: i > 0, ends: i < last }))
    .filter(({ digits }) => digits !== '')
    .map((token) => ({ token, free: token.begins && token.ends ? 0 : DIGITS - token.digits.length }))
    .sort((one, other) => one.free - other.free)[0]?.token;
  if (possible === undefined) return undefined;
  const values = valuesWith(possible);
  return values.length > MOST_VALUES ? undefined : values;
}

interface Token {
  readonly digits: string;
  /** It stands at the beginning of a group, at its end. */
  readonly begins: boolean;
  readonly ends: boolean;
}

/** Every value whose printed form has the digits in that place. */
function valuesWith({ digits, begins, ends }: Token): number[] {
  const found = new Set<number>();
  const free = DIGITS - digits.length;
  for (let before = 0; before <= (begins ? 0 : free); before++) {
    for (let behind = 0; behind <= (ends ? 0 : free - before); behind++) {
      const first = before === 0 ? [''] : numbers(16 ** (before - 1), 16 ** before, before);
      for (const head of first) {
        // Zeros in front are never printed.
        if (head === '' && digits[0] === '0' && digits.length + behind > 1) continue;
        for (const end of numbers(0, 16 ** behind, behind))
          found.add(Number.parseInt(head + digits + end, 16));
      }
    }
  }
  return [...found];
}

/** The numbers from one to before another, with so many hexadecimal digits. */
const numbers = (from: number, to: number, digits: number): string[] =>
  digits === 0
    ? ['']
    : Array.from({ length: to - from }, (_, n) => (from + n).toString(16).padStart(digits, '0'));
