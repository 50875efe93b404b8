import fc from 'fast-check';
import { expect, test } from 'vitest';
import { concat, equal, fromHex } from '../../../protocol/bytes.ts';
import { encodeBase64 } from '../../../protocol/identity/base64.ts';
import { decodeBody, MOST_CERTIFICATES, parseCertsOnly } from '../../../protocol/identity/certs-only.ts';
import { der, TAG } from '../../../protocol/identity/der.ts';

// What openssl makes is parsed in test/agent/identity/enrolled.test.ts.

const SIGNED_DATA = fromHex('06092a864886f70d010702');
const DATA = fromHex('06092a864886f70d010701');
const [VERSION, EMPTY_SET] = [der(TAG.integer, Uint8Array.of(1)), der(TAG.set)];

/** The outline of a certificate, with a number to tell it. */
const certificate = (number: number): Uint8Array =>
  der(
    TAG.sequence,
    der(TAG.sequence, der(TAG.integer, Uint8Array.of(number))),
    der(TAG.sequence),
    der(TAG.bitString, Uint8Array.of(0)),
  );

interface Parts {
  readonly type?: Uint8Array;
  readonly version?: Uint8Array;
  readonly content?: Uint8Array;
  readonly certificates?: readonly Uint8Array[];
  readonly lists?: readonly Uint8Array[];
  readonly signers?: Uint8Array;
}

function message({
  type = SIGNED_DATA,
  version = VERSION,
  content = der(TAG.sequence, DATA),
  certificates = [certificate(1), certificate(2)],
  lists = [],
  signers = EMPTY_SET,
}: Parts = {}): Uint8Array {
  const data = der(
    TAG.sequence,
    ...[version, EMPTY_SET, content, der(TAG.context0, ...certificates), ...lists, signers],
  );
  return der(TAG.sequence, type, der(TAG.context0, data));
}

test('the certificates come in their order, with lists of revoked ones beside them or without', () => {
  for (const lists of [[], [der(0xa1)], [der(0xa1, der(TAG.sequence))]])
    expect(parseCertsOnly(message({ lists }))).toEqual([certificate(1), certificate(2)]);
});

test('what is another message, has a content, a signer, no certificate or something else for one is refused', () => {
  const refused: readonly Parts[] = [
    { type: DATA },
    { version: der(TAG.octetString) },
    { content: der(TAG.sequence, DATA, der(TAG.context0, der(TAG.octetString, Uint8Array.of(1)))) },
    { content: der(TAG.sequence, SIGNED_DATA) },
    { certificates: [] },
    { certificates: [certificate(1), der(TAG.sequence)] },
    { certificates: [der(TAG.octetString)] },
    { signers: der(TAG.set, der(TAG.sequence)) },
    { signers: der(TAG.sequence) },
    { lists: [der(0xa1), der(0xa1)] },
  ];
  for (const parts of refused) expect(parseCertsOnly(message(parts))).toBeUndefined();
  expect(parseCertsOnly(concat(message(), Uint8Array.of(0)))).toBeUndefined();
  expect(parseCertsOnly(new Uint8Array())).toBeUndefined();
});

test('a chain has its longest', () => {
  const many = (count: number): Uint8Array[] => Array.from({ length: count }, (_, i) => certificate(i));
  expect(parseCertsOnly(message({ certificates: many(MOST_CERTIFICATES) }))).toHaveLength(MOST_CERTIFICATES);
  expect(parseCertsOnly(message({ certificates: many(MOST_CERTIFICATES + 1) }))).toBeUndefined();
});

test('no beginning of a message is one', () => {
  const whole = message();
  for (let length = 0; length < whole.length; length++)
    expect(parseCertsOnly(whole.subarray(0, length))).toBeUndefined();
});

test('whatever byte is another: certificates that are inside of the message, or none', () => {
  const whole = message({ lists: [der(0xa1)] });
  for (let at = 0; at < whole.length; at++) {
    for (const change of [1, 0x7f, 0x80, 0xff]) {
      const changed = new Uint8Array(whole);
      changed[at]! ^= change;
      for (const each of parseCertsOnly(changed) ?? []) {
        expect(each.buffer).toBe(changed.buffer);
        expect(each.byteOffset + each.length).toBeLessThanOrEqual(changed.length);
      }
    }
  }
});

test('whatever is cut out of a message, put into it or made of its parts: certificates, or none', () => {
  const whole = message({ lists: [der(0xa1)] });
  const place = fc.nat({ max: whole.length });
  fc.assert(
    fc.property(place, place, fc.uint8Array({ maxLength: 40 }), (from, to, between) => {
      const changed = concat(whole.subarray(0, from), between, whole.subarray(to));
      const found = parseCertsOnly(changed);
      return found === undefined || (found.length > 0 && found.length <= MOST_CERTIFICATES);
    }),
    { numRuns: 2_000 },
  );
});

test('deep nesting is not followed, and lengths without an end are not taken', () => {
  const deep = new Uint8Array(60_000);
  for (let at = 0; at + 4 <= deep.length; at += 4)
    deep.set([0x30, 0x82, (deep.length - at - 4) >> 8, (deep.length - at - 4) & 0xff], at);
  expect(parseCertsOnly(deep)).toBeUndefined();
  expect(parseCertsOnly(message({ certificates: [deep] }))).toBeUndefined();
  expect(parseCertsOnly(fromHex('308006092a864886f70d010702a0800000'))).toBeUndefined();
});

test('a body is base64 in lines, and nothing else', () => {
  const bytes = message();
  const base64 = encodeBase64(bytes);
  const ascii = (text: string): Uint8Array => new TextEncoder().encode(text);
  for (const body of [base64, base64.replace(/.{64}/g, '$&\r\n'), ` ${base64}\n\n`])
    expect(equal(decodeBody(ascii(body))!, bytes)).toBe(true);
  for (const body of [bytes, ascii(`${base64}!`), ascii(base64.slice(1)), ascii('<html>')])
    expect(decodeBody(body)).toBeUndefined();
  expect(decodeBody(new Uint8Array())).toEqual(new Uint8Array());
});
