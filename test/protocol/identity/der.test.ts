import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { concat, fromHex, toHex } from '../../../protocol/bytes.ts';
import { der, derUnsigned, readChildren, readDer, TAG } from '../../../protocol/identity/der.ts';

describe('der', () => {
  it.each([
    [0, '0400'],
    [127, '047f'],
    [128, '048180'],
    [255, '0481ff'],
    [256, '04820100'],
    [65_535, '0482ffff'],
  ])('writes the shortest length for %i bytes', (length, head) => {
    const element = der(TAG.octetString, new Uint8Array(length));
    expect(toHex(element.subarray(0, head.length / 2))).toBe(head);
    expect(readDer(element)).toEqual([
      { tag: TAG.octetString, contents: new Uint8Array(length), whole: element },
    ]);
  });

  it('does not write what it could not read', () => {
    expect(() => der(TAG.octetString, new Uint8Array(65_536))).toThrow(/65536/);
  });

  it.each([
    ['00', '020100'],
    ['0000', '020100'],
    ['7f', '02017f'],
    ['80', '02020080'],
    ['0080', '02020080'],
    ['00000001', '020101'],
  ])('writes the number %s minimally', (value, integer) => {
    expect(toHex(derUnsigned(fromHex(value)))).toBe(integer);
  });
});

describe('readDer', () => {
  it.each([
    ['a tag alone', '04'],
    ['fewer bytes than announced', '0402aa'],
    ['a second element cut short', '0401aa0402aa'],
    ['a length cut short', '048201'],
    ['a one-byte length in two', '04817f'.concat('00'.repeat(127))],
    ['a one-byte length in three', '048200ff'.concat('00'.repeat(255))],
    ['an indefinite length', '04800000'],
    ['a length of three bytes', '0483010000'.concat('00'.repeat(65_536))],
    ['a tag of several bytes', '1f8101020000'],
  ])('refuses %s', (_name, hex) => {
    expect(readDer(fromHex(hex))).toBeUndefined();
  });

  it('reads nothing from nothing', () => {
    expect(readDer(new Uint8Array())).toEqual([]);
  });

  it('never crashes, and what it accepts encodes to itself', () => {
    const element = fc
      .tuple(fc.constantFrom(...Object.values(TAG)), fc.uint8Array({ maxLength: 300 }))
      .map(([tag, contents]) => der(tag, contents));
    const inputs = fc.oneof(
      fc.uint8Array({ maxLength: 40 }),
      fc.array(element, { maxLength: 4 }).map((elements) => concat(...elements)),
    );
    fc.assert(
      fc.property(inputs, (input) => {
        const elements = readDer(input);
        if (elements === undefined) return;
        expect(concat(...elements.map(({ tag, contents }) => der(tag, contents)))).toEqual(input);
        expect(concat(...elements.map(({ whole }) => whole))).toEqual(input);
      }),
      { numRuns: 1000 },
    );
  });
});

describe('readChildren', () => {
  it('requires one element of the tag that fills the bytes', () => {
    const sequence = fromHex('30060401aa0401bb');
    expect(readChildren(sequence, TAG.sequence)?.map(({ contents }) => toHex(contents))).toEqual([
      'aa',
      'bb',
    ]);
    expect(readChildren(sequence, TAG.set)).toBeUndefined();
    expect(readChildren(concat(sequence, sequence), TAG.sequence)).toBeUndefined();
    expect(readChildren(new Uint8Array(), TAG.sequence)).toBeUndefined();
    expect(readChildren(fromHex('30030401'), TAG.sequence)).toBeUndefined();
  });
});
