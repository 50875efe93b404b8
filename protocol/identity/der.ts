import { concat } from '../bytes.ts';

/** The few DER forms that certificates and key files need; definite lengths up to 65 535. */

export const TAG = {
  boolean: 0x01,
  integer: 0x02,
  bitString: 0x03,
  octetString: 0x04,
  oid: 0x06,
  utf8String: 0x0c,
  generalizedTime: 0x18,
  sequence: 0x30,
  set: 0x31,
  context0: 0xa0,
} as const;

/** tag ‖ length ‖ contents */
export function der(tag: number, ...contents: readonly Uint8Array[]): Uint8Array {
  const body = concat(...contents);
  const { length } = body;
  if (length < 0x80) return concat(Uint8Array.of(tag, length), body);
  if (length < 0x100) return concat(Uint8Array.of(tag, 0x81, length), body);
  if (length > 0xffff) throw new Error(`a DER element of ${length} bytes`);
  return concat(Uint8Array.of(tag, 0x82, length >> 8, length & 0xff), body);
}

/** A non-negative INTEGER of big-endian bytes, minimal: leading zeros stripped, one added where the top bit is set. */
export function derUnsigned(value: Uint8Array): Uint8Array {
  let start = 0;
  while (start < value.length - 1 && value[start] === 0) start++;
  const digits = value.subarray(start);
  return der(TAG.integer, digits[0]! >= 0x80 ? concat(Uint8Array.of(0), digits) : digits);
}

/** One element as it was found. `whole` includes tag and length. All are views of the input. */
export interface DerElement {
  readonly tag: number;
  readonly contents: Uint8Array;
  readonly whole: Uint8Array;
}

/** All elements in `bytes`, which they have to fill exactly, with minimal lengths and one-byte tags; or undefined. */
export function readDer(bytes: Uint8Array): DerElement[] | undefined {
  const elements: DerElement[] = [];
  let offset = 0;
  while (offset < bytes.length) {
    const element = readElement(bytes, offset);
    if (element === undefined) return undefined;
    elements.push(element);
    offset += element.whole.length;
  }
  return elements;
}

/** The children of one constructed element with this tag that fills `bytes`; or undefined. */
export function readChildren(bytes: Uint8Array, tag: number): DerElement[] | undefined {
  const elements = readDer(bytes);
  if (elements?.length !== 1 || elements[0]!.tag !== tag) return undefined;
  return readDer(elements[0]!.contents);
}

function readElement(bytes: Uint8Array, offset: number): DerElement | undefined {
  const [tag, first] = [bytes[offset]!, bytes[offset + 1]];
  if (first === undefined || (tag & 0x1f) === 0x1f) return undefined;
  let start = offset + 2;
  let length = first;
  if (first >= 0x80) {
    const octets = first & 0x7f;
    if (octets < 1 || octets > 2 || start + octets > bytes.length) return undefined;
    length = 0;
    for (let i = 0; i < octets; i++) length = (length << 8) | bytes[start + i]!;
    if (length < (octets === 1 ? 0x80 : 0x100)) return undefined;
    start += octets;
  }
  if (start + length > bytes.length) return undefined;
  return {
    tag,
    contents: bytes.subarray(start, start + length),
    whole: bytes.subarray(offset, start + length),
  };
}
