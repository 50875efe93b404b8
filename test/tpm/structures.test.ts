import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { concat, fromHex, toHex, u32 } from '../../protocol/bytes.ts';
import { isFailure } from '../../protocol/failure.ts';
import {
  readAlgorithms,
  readCommands,
  readCurves,
  readHandles,
  readPcrBanks,
  readProperties,
} from '../../tpm/capability.ts';
import { checkPublicArea } from '../../tpm/public-area.ts';
import { isSealedSecret } from '../../tpm/sealed-secret.ts';
import {
  ATTRIBUTE,
  type EccPublic,
  encodeEccPublic,
  encodeNvPublic,
  encodePoint,
  parseNvPublic,
  parsePoint,
  parsePublic,
  parseSignature,
} from '../../tpm/structures.ts';
import { DAA_TEMPLATE, LONGTERM_TEMPLATE, STORAGE_TEMPLATE } from '../../tpm/templates.ts';
import { contentOf, sized } from '../../tpm/wire.ts';

const u16 = fc.integer({ min: 0, max: 0xffff });
const word = fc.integer({ min: 0, max: 0xffffffff });
const notNull = u16.filter((value) => value !== 0x0010);
const coordinate = fc.uint8Array({ maxLength: 66 });

const eccPublic: fc.Arbitrary<EccPublic> = fc.record(
  {
    nameAlgorithm: u16,
    attributes: word,
    policy: fc.uint8Array({ maxLength: 64 }),
    symmetric: fc.record({ algorithm: notNull, keyBits: u16, mode: u16 }),
    scheme: fc.oneof(
      fc.record({ algorithm: notNull.filter((value) => value !== 0x001a), hash: u16 }),
      fc.record({ algorithm: fc.constant(0x001a), hash: u16, count: u16 }),
    ),
    curve: u16,
    x: coordinate,
    y: coordinate,
  },
  { requiredKeys: ['nameAlgorithm', 'attributes', 'policy', 'curve', 'x', 'y'] },
);

const nvPublic = fc.record({
  index: word,
  nameAlgorithm: u16,
  attributes: word,
  policy: fc.uint8Array({ maxLength: 64 }),
  size: u16,
});

describe('templates', () => {
  // tpm.md §3, with noDA (0x400) added.
  test.each([
    ['storage', STORAGE_TEMPLATE, '001a 0023 000b 00030472 0000 0006 0080 0043 0010 0003 0010 0000 0000'],
    ['longterm', LONGTERM_TEMPLATE, '0016 0023 000b 00040472 0000 0010 0010 0003 0010 0000 0000'],
    ['ECDAA', DAA_TEMPLATE, '001a 0023 000b 00040472 0000 0010 001a 000b 0001 0010 0010 0000 0000'],
  ])('%s, byte for byte', (_, template, expected) => {
    expect(toHex(template)).toBe(expected.replaceAll(' ', ''));
  });
});

describe('what is encoded is read back', () => {
  test('public areas', () => {
    fc.assert(
      fc.property(eccPublic, (key) => {
        const { ecc, type } = parsePublic(encodeEccPublic(key));
        expect(type).toBe(0x0023);
        expect(ecc).toEqual(key);
      }),
    );
  });

  test('NV public areas', () => {
    fc.assert(
      fc.property(nvPublic, (nv) => {
        expect(parseNvPublic(encodeNvPublic(nv))).toEqual(nv);
      }),
    );
  });

  test('points, also with stripped zeros; the empty point is undefined', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 64, maxLength: 64 }), (xy) => {
        const point = concat(Uint8Array.of(4), xy);
        expect(parsePoint(encodePoint(point))).toEqual(point);
      }),
    );
    const short = sized(concat(sized(Uint8Array.of(7)), sized(Uint8Array.of(8, 9))));
    expect(toHex(parsePoint(short)!)).toBe(`04${'00'.repeat(31)}07${'00'.repeat(30)}0809`);
    expect(parsePoint(fromHex('0000'))).toBeUndefined();
    expect(parsePoint(fromHex('000400000000'))).toBeUndefined();
    expect(() => encodePoint(new Uint8Array(65))).toThrow();
    expect(() => encodePoint(new Uint8Array(64))).toThrow();
  });

  test('signatures', () => {
    const signature = fc.record({
      r: fc.uint8Array({ maxLength: 32 }),
      s: fc.uint8Array({ maxLength: 32 }),
    });
    fc.assert(
      fc.property(signature, ({ r, s }) => {
        const wire = concat(fromHex('0018000b'), sized(r), sized(s));
        expect(parseSignature(wire)).toEqual({ algorithm: 0x18, hash: 0x0b, r, s });
      }),
    );
    expect(() =>
      parseSignature(concat(fromHex('0018000b'), sized(new Uint8Array(33)), sized(new Uint8Array(1)))),
    ).toThrow(/malformed/);
  });
});

describe('no input crashes a reader, and every accepted one is its canonical encoding', () => {
  const anything = fc.oneof(
    fc.uint8Array({ maxLength: 200 }),
    eccPublic.map(encodeEccPublic),
    nvPublic.map(encodeNvPublic),
    fc.uint8Array({ minLength: 64, maxLength: 64 }).map((xy) => encodePoint(concat(Uint8Array.of(4), xy))),
  );
  const damaged = fc
    .tuple(anything, fc.nat(), fc.integer({ min: 0, max: 255 }), fc.integer({ min: -3, max: 3 }))
    .map(([wire, at, value, change]) => {
      const out = new Uint8Array(Math.max(0, wire.length + change));
      out.set(wire.subarray(0, out.length));
      if (out.length > 0) out[at % out.length] = value;
      return out;
    });

  function read<T>(reader: (wire: Uint8Array) => T, wire: Uint8Array): T | undefined {
    try {
      return reader(wire);
    } catch (error) {
      expect(isFailure(error)).toBe(true);
      expect((error as { code: string }).code).toMatch(/^tpm\.(malformed|bad-public-area)$/);
      return undefined;
    }
  }

  test('damaged structures', () => {
    fc.assert(
      fc.property(damaged, (wire) => {
        const area = read(parsePublic, wire);
        if (area?.ecc) expect(encodeEccPublic(area.ecc)).toEqual(wire);
        const nv = read(parseNvPublic, wire);
        if (nv) expect(encodeNvPublic(nv)).toEqual(wire);
        const content = read((bytes) => contentOf('test', bytes), wire);
        if (content) expect(sized(content)).toEqual(wire);
        for (const reader of [
          parsePoint,
          parseSignature,
          checkPublicArea,
          readHandles,
          readProperties,
          readCurves,
          readAlgorithms,
          readCommands,
          readPcrBanks,
          isSealedSecret,
        ])
          read<unknown>(reader, wire);
      }),
      { numRuns: 2000 },
    );
  });

  test('banks of PCRs, of any size; one that is cut off is malformed', () => {
    const banks = fromHex('0000000500000002000403ffffff000b03810080');
    expect([...readPcrBanks(banks)]).toEqual([
      [4, Array.from({ length: 24 }, (_, i) => i)],
      [11, [0, 7, 23]],
    ]);
    expect([...readPcrBanks(fromHex('0000000500000001000b00'))]).toEqual([[11, []]]);
    expect(() => readPcrBanks(banks.subarray(0, -1))).toThrow(/too short/);
  });

  test('a capability of another kind, and one that claims a billion entries', () => {
    expect(readHandles(concat(u32(1), u32(1), u32(0x81000001)))).toEqual([0x81000001]);
    expect(() => readHandles(concat(u32(6), u32(0)))).toThrow(/kind 6/);
    expect(() => readHandles(concat(u32(1), u32(1_000_000_000)))).toThrow(/entries/);
    expect(() => readHandles(concat(u32(1), u32(2), u32(1)))).toThrow(/too short/);
  });
});

describe('the public area of an ECDAA key', () => {
  const good = (): EccPublic => ({
    ...parsePublic(contentOf('template', DAA_TEMPLATE)).ecc!,
    x: new Uint8Array(32).fill(1),
    y: new Uint8Array(32).fill(2),
  });

  test('90 bytes, and its point', () => {
    const area = encodeEccPublic(good());
    expect(area.length).toBe(90);
    expect(toHex(checkPublicArea(area))).toBe(`04${'01'.repeat(32)}${'02'.repeat(32)}`);
  });

  test('of the C programs (without noDA) is good, too', () => {
    const area = encodeEccPublic({ ...good(), attributes: 0x00040072 });
    expect(checkPublicArea(area).length).toBe(65);
  });

  const key = good();
  test.each<[string, Partial<EccPublic>]>([
    ['fixedTPM', { attributes: key.attributes & ~ATTRIBUTE.fixedTpm }],
    ['fixedParent', { attributes: key.attributes & ~ATTRIBUTE.fixedParent }],
    ['sensitiveDataOrigin', { attributes: key.attributes & ~ATTRIBUTE.sensitiveDataOrigin }],
    ['sign', { attributes: key.attributes & ~ATTRIBUTE.sign }],
    ['restricted', { attributes: key.attributes | ATTRIBUTE.restricted }],
    ['decrypt', { attributes: key.attributes | ATTRIBUTE.decrypt }],
    ['curve', { curve: 3 }],
    ['scheme', { scheme: { algorithm: 0x18, hash: 0x0b } }],
    ['scheme', { scheme: { algorithm: 0x1a, hash: 0x0c, count: 1 } }],
    ['name algorithm', { nameAlgorithm: 0x0c }],
    ['symmetric', { symmetric: { algorithm: 6, keyBits: 128, mode: 0x43 } }],
    ['coordinates', { x: new Uint8Array(31) }],
    ['coordinates', { y: new Uint8Array(0) }],
  ])('wrong in %s is refused by name', (name, change) => {
    expect(() => checkPublicArea(encodeEccPublic({ ...good(), ...change }))).toThrow(name);
  });

  test('of an RSA key is refused', () => {
    expect(() => checkPublicArea(fromHex('0001000b00040472'))).toThrow('ECC expected');
  });
});
