import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { decodeBase45, encodeBase45 } from '../../protocol/base45.ts';
import { ascii } from '../../protocol/bytes.ts';
import { crc32 } from '../../protocol/crc32.ts';
import { decodeUtf8, encodeUtf8 } from '../../protocol/utf8.ts';

const bytes = (limit: number) => fc.uint8Array({ maxLength: limit });

describe('base45', () => {
  test.each([
    ['AB', 'BB8'],
    ['Hello!!', '%69 VD92EX0'],
    ['base-45', 'UJCLQE7W581'],
    ['ietf!', 'QED8WEX0'],
    ['', ''],
  ])('RFC 9285 §4: %j is %j', (plain, encoded) => {
    expect(encodeBase45(ascii(plain))).toBe(encoded);
    expect(decodeBase45(encoded)).toEqual(ascii(plain));
  });

  test.each([
    ['GGW is 65536, the RFC’s own refusal', 'GGW'],
    [':::', ':::'],
    ['a pair above 255', 'V5'],
    ['one character left over', 'BB8B'],
    ['a lower-case letter', 'bB8'],
    ['a foreign character', 'BB8_B8'],
    ['half an emoji', 'B\ud83d8'],
  ])('refuses %s', (_, text) => {
    expect(decodeBase45(text)).toBeUndefined();
  });

  test('FGW is the largest group', () => {
    expect(decodeBase45('FGW')).toEqual(Uint8Array.of(0xff, 0xff));
    expect(decodeBase45('U5')).toEqual(Uint8Array.of(0xff));
  });

  test('any bytes come back, and never end in a space', () => {
    fc.assert(
      fc.property(bytes(400), (plain) => {
        const text = encodeBase45(plain);
        expect(decodeBase45(text)).toEqual(plain);
        expect(text.trimEnd()).toBe(text);
      }),
    );
    // Every possible last group, not only drawn ones.
    for (let value = 0; value < 0x10000; value++) {
      expect(encodeBase45(Uint8Array.of(value >> 8, value & 0xff)).endsWith(' ')).toBe(false);
    }
  });

  test('each accepted text is the only one of its bytes', () => {
    const text = fc.string({ unit: fc.constantFrom(...'0123456789AFGHWXYZ $%*+-./:'), maxLength: 30 });
    fc.assert(
      fc.property(text, (candidate) => {
        const plain = decodeBase45(candidate);
        if (plain !== undefined) expect(encodeBase45(plain)).toBe(candidate);
      }),
      { numRuns: 2000 },
    );
  });
});

describe('crc32', () => {
  test('the check value of CRC-32/ISO-HDLC', () => {
    expect(crc32(ascii('123456789'))).toBe(0xcbf43926);
    expect(crc32(new Uint8Array())).toBe(0);
    expect(crc32(ascii('123456788'))).not.toBe(0xcbf43926);
  });
});

describe('utf8', () => {
  test('agrees with the platform on any text', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        expect(encodeUtf8(text)).toEqual(new Uint8Array(Buffer.from(text, 'utf8')));
        expect(decodeUtf8(encodeUtf8(text))).toBe(text);
      }),
      { numRuns: 1000 },
    );
    expect(encodeUtf8('\ud800')).toEqual(Uint8Array.of(0xef, 0xbf, 0xbd));
  });

  test('accepts exactly what the platform’s strict decoder accepts', () => {
    const strict = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
    const likely = fc.array(
      fc.constantFrom(
        0x41,
        0x7f,
        0x80,
        0xbf,
        0xc0,
        0xc1,
        0xc2,
        0xdf,
        0xe0,
        0xa0,
        0xed,
        0x9f,
        0xef,
        0xf0,
        0x90,
        0xf4,
        0x8f,
        0xf5,
        0xff,
      ),
      { maxLength: 6 },
    );
    fc.assert(
      fc.property(likely, (octets) => {
        const input = Uint8Array.from(octets);
        let expected: string | undefined;
        try {
          expected = strict.decode(input);
        } catch {
          expected = undefined;
        }
        expect(decodeUtf8(input)).toBe(expected);
      }),
      { numRuns: 20_000 },
    );
  });
});
