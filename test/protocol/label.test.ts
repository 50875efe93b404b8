import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { decodeBase45, encodeBase45 } from '../../protocol/base45.ts';
import { concat, u32 } from '../../protocol/bytes.ts';
import { crc32 } from '../../protocol/crc32.ts';
import { Failure, isFailure } from '../../protocol/failure.ts';
import {
  basenameText,
  encodeLabel,
  type Label,
  MAX_LABEL_TEXT,
  parseLabel,
  signedPart,
  signLabel,
} from '../../protocol/label.ts';
import { encodeUtf8 } from '../../protocol/utf8.ts';

const gpk = Uint8Array.from({ length: 258 }, (_, i) => (i * 37 + 11) & 0xff);
const basename = encodeUtf8('BASENAME');
const plain: Label = { gpk, basename, name: 'Gateways, March' };
const full: Label = {
  ...plain,
  vendor: 'Müller & Söhne',
  claim: new Uint8Array(16).fill(7),
  signature: new Uint8Array(64).fill(9),
};

/** A label text around any body, with a checksum that fits. */
const sealed = (body: Uint8Array): string => `ENF1:${encodeBase45(concat(body, u32(crc32(body))))}`;
const str = (text: string): Uint8Array => concat(Uint8Array.of(encodeUtf8(text).length), encodeUtf8(text));
const head = (version: number, flags: number): Uint8Array => Uint8Array.of(0x45, 0x4e, version, flags);

function codeOf(run: () => unknown): string {
  try {
    run();
  } catch (error) {
    if (error instanceof Failure) return error.code;
    throw error;
  }
  return 'accepted';
}

describe('a label', () => {
  test('has exactly the bytes of the format', () => {
    expect(encodeLabel(plain)).toBe(sealed(concat(head(1, 0), gpk, str('BASENAME'), str('Gateways, March'))));
    expect(encodeLabel(full)).toBe(
      sealed(
        concat(
          head(1, 7),
          gpk,
          str('BASENAME'),
          str('Gateways, March'),
          str('Müller & Söhne'),
          full.claim!,
          full.signature!,
        ),
      ),
    );
    // The number of devices is behind the claim secret, and under the signature.
    expect(encodeLabel({ ...full, count: 0x01_02_03 })).toBe(
      sealed(
        concat(
          ...[head(1, 15), gpk, str('BASENAME'), str('Gateways, March'), str('Müller & Söhne')],
          ...[full.claim!, Uint8Array.of(0, 1, 2, 3), full.signature!],
        ),
      ),
    );
    // And so is the box.
    const box = { number: 2, boxes: 3, devices: 0x01_00 };
    expect(encodeLabel({ ...plain, count: 600, box, signature: full.signature! })).toBe(
      sealed(
        concat(
          ...[head(1, 28), gpk, str('BASENAME'), str('Gateways, March'), u32(600)],
          ...[u32(2), u32(3), Uint8Array.of(0, 0, 1, 0), full.signature!],
        ),
      ),
    );
  });

  test('is signed over all of it but the signature, which takes the place of a former one', async () => {
    const box = { number: 1, boxes: 2, devices: 5 };
    for (const label of [plain, full, { ...plain, count: 9, box }]) {
      const signed: Uint8Array[] = [];
      const text = await signLabel(label, async (message) => {
        signed.push(message);
        return new Uint8Array(64).fill(message.length & 0xff);
      });
      const read = parseLabel(text);
      const signature = new Uint8Array(64).fill(signed[0]!.length & 0xff);
      expect(read).toEqual({ ...label, signature });
      expect(signedPart(read)).toEqual({ message: signed[0], signature });
      expect(decodeBase45(text.slice(5))!.subarray(0, -68)).toEqual(signed[0]);
    }
    expect(signedPart(plain)).toBeUndefined();
    await expect(signLabel(plain, async () => new Uint8Array(63))).rejects.toMatchObject({
      code: 'label.bad-length',
    });
  });

  test('with what it may say since then is refused by a reader from before, and only then', () => {
    const flags = (label: Label): number => decodeBase45(encodeLabel(label).slice(5))![3]!;
    const box = { number: 1, boxes: 1, devices: 1 };
    const [first, counting] = [0x07, 0x0f];
    const refusedBy = (known: number, label: Label): boolean => (flags(label) & ~known) !== 0;
    expect([full, { ...full, count: 1 }, { ...full, box }].map((each) => refusedBy(first, each))).toEqual([
      false,
      true,
      true,
    ]);
    expect([full, { ...full, count: 1 }, { ...full, box }].map((each) => refusedBy(counting, each))).toEqual([
      false,
      false,
      true,
    ]);
  });

  test('is parsed to what was encoded, bare or in a URL', () => {
    for (const label of [plain, full, { ...plain, claim: full.claim! }, { ...plain, vendor: 'v' }]) {
      const text = encodeLabel(label);
      expect(parseLabel(text)).toEqual(label);
      expect(parseLabel(`https://console.example:8443/admit?x=1#${text}`)).toEqual(label);
    }
  });

  test('any label comes back', () => {
    const label = fc.record(
      {
        gpk: fc.uint8Array({ minLength: 258, maxLength: 258 }),
        basename: fc.uint8Array({ minLength: 1, maxLength: 64 }),
        name: fc.string({
          unit: fc.constantFrom('a', 'Z', 'ß', '中', '😀', ' '),
          minLength: 1,
          maxLength: 15,
        }),
        vendor: fc.string({ unit: 'grapheme-ascii', minLength: 1, maxLength: 255 }),
        claim: fc.uint8Array({ minLength: 16, maxLength: 16 }),
        count: fc.constantFrom(9, 10_000_000),
        box: fc.record({
          number: fc.integer({ min: 1, max: 4 }),
          boxes: fc.integer({ min: 4, max: 9 }),
          devices: fc.integer({ min: 1, max: 9 }),
        }),
        signature: fc.uint8Array({ minLength: 64, maxLength: 64 }),
      },
      { requiredKeys: ['gpk', 'basename', 'name'] },
    );
    fc.assert(
      fc.property(label, (value) => {
        expect(parseLabel(encodeLabel(value as Label))).toEqual(value);
      }),
    );
  });

  const body = (...parts: Uint8Array[]): string => sealed(concat(...parts));
  test.each([
    ['label.bad-text', ''],
    ['label.bad-text', 'ENF1:'],
    ['label.bad-text', 'enf1:ABC'],
    ['label.bad-text', 'ENF2:ABCDEF'],
    ['label.bad-text', ` ${encodeLabel(plain)}`],
    ['label.bad-text', `${encodeLabel(plain)}\n`],
    ['label.bad-text', `${encodeLabel(plain)}\nENF1:00`],
    ['label.bad-text', `http://console.example/#${encodeLabel(plain)}`],
    ['label.bad-text', `https://console.example/?${encodeLabel(plain)}`],
    ['label.bad-text', `https://a#b#${encodeLabel(plain)}`],
    ['label.too-long', `ENF1:${'0'.repeat(MAX_LABEL_TEXT)}`],
    ['label.bad-checksum', 'ENF1:00'],
    ['label.bad-checksum', 'ENF1:::::::'],
    ['label.bad-checksum', encodeLabel(plain).slice(0, -3)],
    ['label.bad-checksum', `${encodeLabel(plain)}000`],
    ['label.bad-checksum', sealed(concat(Uint8Array.of(0x45, 0x4f, 1, 0), gpk, str('b'), str('n')))],
    ['label.unknown-version', body(head(0, 0), gpk, str('b'), str('n'))],
    ['label.unknown-version', body(head(2, 0), gpk, str('b'), str('n'))],
    ['label.unknown-flags', body(head(1, 32), gpk, str('b'), str('n'))],
    ['label.bad-length', body(head(1, 16), gpk, str('b'), str('n'), u32(1), u32(1), new Uint8Array(3))],
    ['label.bad-box', body(head(1, 16), gpk, str('b'), str('n'), u32(0), u32(1), u32(1))],
    ['label.bad-box', body(head(1, 16), gpk, str('b'), str('n'), u32(2), u32(1), u32(1))],
    ['label.bad-box', body(head(1, 16), gpk, str('b'), str('n'), u32(1), u32(1), u32(0))],
    ['label.bad-box', body(head(1, 16), gpk, str('b'), str('n'), u32(1), u32(10_000_001), u32(1))],
    ['label.bad-box', body(head(1, 24), gpk, str('b'), str('n'), u32(3), u32(1), u32(1), u32(4))],
    ['label.bad-box', body(head(1, 24), gpk, str('b'), str('n'), u32(3), u32(1), u32(4), u32(1))],
    ['accepted', body(head(1, 24), gpk, str('b'), str('n'), u32(3), u32(2), u32(3), u32(1))],
    ['label.bad-length', body(head(1, 8), gpk, str('b'), str('n'))],
    ['label.bad-length', body(head(1, 8), gpk, str('b'), str('n'), new Uint8Array(3))],
    ['label.bad-length', body(head(1, 8), gpk, str('b'), str('n'), u32(1), new Uint8Array(1))],
    ['label.bad-count', body(head(1, 8), gpk, str('b'), str('n'), u32(0))],
    ['label.bad-count', body(head(1, 8), gpk, str('b'), str('n'), u32(10_000_001))],
    ['accepted', body(head(1, 8), gpk, str('b'), str('n'), u32(10_000_000))],
    ['label.unknown-flags', body(head(1, 0x80), gpk, str('b'), str('n'))],
    ['label.bad-length', body(head(1, 0))],
    ['label.bad-length', body(head(1, 0), gpk)],
    ['label.bad-length', body(head(1, 0), gpk, Uint8Array.of(9), encodeUtf8('BASENAME'))],
    ['label.bad-length', body(head(1, 0), gpk, str('b'), str('n'), Uint8Array.of(0))],
    ['label.bad-length', body(head(1, 1), gpk, str('b'), str('n'), new Uint8Array(15))],
    ['label.bad-length', body(head(1, 1), gpk, str('b'), str('n'), new Uint8Array(17))],
    ['label.bad-length', body(head(1, 2), gpk, str('b'), str('n'))],
    ['label.bad-length', body(head(1, 4), gpk, str('b'), str('n'), new Uint8Array(63))],
    ['label.bad-basename', body(head(1, 0), gpk, str(''), str('n'))],
    ['label.bad-basename', body(head(1, 0), gpk, str('b'.repeat(65)), str('n'))],
    ['label.bad-name', body(head(1, 0), gpk, str('b'), str(''))],
    ['label.bad-name', body(head(1, 0), gpk, str('b'), str('n'.repeat(61)))],
    ['label.bad-name', body(head(1, 0), gpk, str('b'), Uint8Array.of(2, 0xc0, 0x80))],
    ['label.bad-name', body(head(1, 0), gpk, str('b'), str('evil\u001b[2J'))],
    ['label.bad-name', body(head(1, 0), gpk, str('b'), str('abc\u202egpj'))],
    ['label.bad-name', body(head(1, 2), gpk, str('b'), str('n'), str(''))],
    ['accepted', body(head(1, 0), gpk, str('b'), str('n'))],
    ['accepted', body(head(1, 0), gpk, str('b'.repeat(64)), str('n'.repeat(60)))],
  ])('%s for text %#', (code, text) => {
    expect(codeOf(() => parseLabel(text))).toBe(code);
  });

  test.each<[string, Partial<Label>]>([
    ['label.bad-key', { gpk: gpk.slice(1) }],
    ['label.bad-basename', { basename: new Uint8Array() }],
    ['label.bad-basename', { basename: new Uint8Array(65) }],
    ['label.bad-name', { name: '' }],
    ['label.bad-name', { name: 'ß'.repeat(31) }],
    ['label.bad-name', { name: 'a\nb' }],
    ['label.bad-name', { name: 'half \ud83d' }],
    ['label.bad-name', { vendor: '' }],
    ['label.bad-name', { vendor: 'v'.repeat(256) }],
    ['label.bad-count', { count: 0 }],
    ['label.bad-count', { count: 1.5 }],
    ['label.bad-count', { count: 10_000_001 }],
    ['label.bad-box', { box: { number: 1, boxes: 1, devices: 1.5 } }],
    ['label.bad-box', { count: 2, box: { number: 1, boxes: 1, devices: 3 } }],
    ['label.bad-length', { claim: new Uint8Array(15) }],
    ['label.bad-length', { signature: new Uint8Array(65) }],
    ['accepted', { name: 'ß'.repeat(30), vendor: 'v'.repeat(255) }],
  ])('%s at encoding, case %#', (code, change) => {
    expect(codeOf(() => encodeLabel({ ...plain, ...change }))).toBe(code);
  });
});

describe('hostile text', () => {
  /** Accepted text must encode to itself; anything else must be a Failure of a label.* code. */
  const probe = (text: string): boolean => {
    try {
      expect(encodeLabel(parseLabel(text))).toBe(text.replace(/^https:.*#/, ''));
      return true;
    } catch (error) {
      if (isFailure(error) && error.code.startsWith('label.')) return false;
      throw error;
    }
  };

  test('no text crashes the reader', () => {
    fc.assert(fc.property(fc.string({ unit: 'binary', maxLength: 200 }), (text) => void probe(text)));
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 200 }), (text) => void probe(`ENF1:${text}`)),
    );
  });

  test('no body behind a fitting checksum crashes it, and what it accepts encodes to itself', () => {
    let accepted = 0;
    // Mostly well-formed strings, so that some bodies are right and most are nearly so.
    const string = fc
      .uint8Array({ minLength: 1, maxLength: 4, max: 0x7e })
      .map((text) => concat(Uint8Array.of(text.length), text));
    const field = fc.oneof(
      { weight: 6, arbitrary: string },
      { weight: 1, arbitrary: fc.uint8Array({ maxLength: 16 }) },
    );
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 32 }), fc.array(field, { maxLength: 4 }), (flags, rest) => {
        if (probe(sealed(concat(head(1, flags), gpk, ...rest)))) accepted++;
      }),
      { numRuns: 5000 },
    );
    expect(accepted).toBeGreaterThan(0);
  });

  test('of 12,000 changed texts none is accepted', () => {
    const text = encodeLabel(full);
    const alphabet = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ $%*+-./:';
    // A fixed generator: a failure repeats.
    let state = 0x2545f491;
    const below = (limit: number): number => {
      state ^= state << 13;
      state ^= state >>> 17;
      state ^= state << 5;
      return (state >>> 0) % limit;
    };
    const character = (): string => alphabet[below(alphabet.length)]!;
    const changes: ((t: string, at: number) => string)[] = [
      (t, at) => t.slice(0, at) + character() + t.slice(at + 1),
      (t, at) => t.slice(0, at) + t.slice(at + 1),
      (t, at) => t.slice(0, at) + character() + t.slice(at),
      (t, at) => t.slice(0, at) + t[at + 1]! + t[at]! + t.slice(at + 2),
      (t, at) => t.slice(0, at),
      (t, at) => t.slice(0, at) + t.slice(at, at + 9) + t.slice(at),
    ];
    let tried = 0;
    const accepted: string[] = [];
    while (tried < 12_000) {
      const changed = changes[below(changes.length)]!(text, below(text.length - 1));
      if (changed === text) continue;
      tried++;
      if (probe(changed)) accepted.push(changed);
    }
    expect(accepted).toEqual([]);
  });
});

test('a basename is a text where it is printable, and else hex; no two have the same', () => {
  expect(basenameText(encodeUtf8('xaprcnet'))).toBe('xaprcnet');
  expect(basenameText(Uint8Array.of(0x30, 0x78, 0x00))).toBe('0x307800');
  expect(basenameText(encodeUtf8('0x41'))).toBe('0x30783431');
  expect(basenameText(encodeUtf8('ä'))).toBe('0xc3a4');
});
