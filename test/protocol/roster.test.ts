import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  formatRosterHeader,
  LONGEST_HEADER,
  parseRosterHeader,
  parseRosterManifest,
  parseRosterRow,
} from '../../protocol/roster.ts';
import { serialKey, serialName } from '../../protocol/serial.ts';
import { encodeUtf8 } from '../../protocol/utf8.ts';
import { refusal } from '../refusals.ts';

const HEADER = { manifest: encodeUtf8('{"a":1}\n'), signature: new Uint8Array(64).fill(7), maker: 'PEM\n' };
const MANIFEST = {
  ...{ format: 'enf-manifest-1', name: 'March', gid: 'ab'.repeat(32), devices: 3, unnamed: 1 },
  ...{ sha256: 'cd'.repeat(32), bytes: 600 },
};
const POINT = `04${'0a'.repeat(64)}`;

describe('the first line of a roster', () => {
  test('is read as it was written', () => {
    const line = formatRosterHeader(HEADER);
    expect(line).not.toContain('\n');
    expect(parseRosterHeader(line)).toEqual(HEADER);
  });

  test.each([
    ['nothing', ''],
    ['no JSON', 'ENF1:'],
    ['a list', '[]'],
    ['null', 'null'],
    ['another format', formatRosterHeader(HEADER).replace('roster-1', 'roster-2')],
    ['a short signature', formatRosterHeader({ ...HEADER, signature: new Uint8Array(63) })],
    ['a manifest that is no base64', formatRosterHeader(HEADER).replace('"manifest":"', '"manifest":"!')],
    ['no key', JSON.stringify({ ...JSON.parse(formatRosterHeader(HEADER)), maker: 7 })],
    ['too much', `${formatRosterHeader(HEADER)}${' '.repeat(LONGEST_HEADER)}`],
  ])('%s is refused', (_, line) => {
    expect(refusal(() => parseRosterHeader(line))).toBe('roster.bad-header');
  });

  test('any text ends in a header or a failure', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.json()), (text) => {
        expect(['accepted', 'roster.bad-header']).toContain(refusal(() => parseRosterHeader(text)));
      }),
    );
  });
});

describe('the manifest of a roster', () => {
  const read = (change: object): string =>
    refusal(() => parseRosterManifest(encodeUtf8(JSON.stringify({ ...MANIFEST, ...change }))));

  test('is read', () => {
    expect(
      parseRosterManifest(encodeUtf8(JSON.stringify({ ...MANIFEST, perBox: 20, vendor: 'Acme' }))),
    ).toEqual({
      ...{ name: 'March', gid: MANIFEST.gid, devices: 3, unnamed: 1, perBox: 20 },
      ...{ sha256: MANIFEST.sha256, bytes: 600 },
    });
    expect(read({ unnamed: undefined })).toBe('accepted');
  });

  test.each([
    { format: 'enf-manifest-2' },
    { gid: 'ab' },
    { gid: 'AB'.repeat(32) },
    { sha256: undefined },
    { devices: -1 },
    { devices: 1.5 },
    { devices: 10_000_001 },
    { unnamed: 4 },
    { bytes: 3 * 4_096 + 1 },
    { perBox: 0 },
    { perBox: '20' },
    { name: 7 },
  ])('with %j is refused', (change) => {
    expect(read(change)).toBe('roster.bad-header');
  });
});

describe('a line of a roster', () => {
  test('has what it is known by and its serial number, of which each may be missing', () => {
    const row = { serial: 'GW-0001', pseudonym: POINT, member: 'aa', more: 1 };
    expect(parseRosterRow(JSON.stringify(row))).toEqual({
      serial: 'GW-0001',
      pseudonym: POINT,
      resident: undefined,
    });
    expect(parseRosterRow('{"resident":false}')?.resident).toBe(false);
    expect(parseRosterRow('{}')).toEqual({ serial: undefined, pseudonym: undefined, resident: undefined });
  });

  test.each([
    '',
    'null',
    '7',
    '[',
    JSON.stringify({ pseudonym: POINT.slice(2) }),
    JSON.stringify({ pseudonym: POINT.replace('04', '02') }),
    JSON.stringify({ pseudonym: POINT.toUpperCase() }),
    JSON.stringify({ pseudonym: 7 }),
    JSON.stringify({ resident: 'no' }),
    JSON.stringify({ serial: '' }),
    JSON.stringify({ serial: ' S1' }),
    JSON.stringify({ serial: 'S\u001b1' }),
    JSON.stringify({ serial: 'S'.repeat(65) }),
  ])('%s names none', (line) => {
    expect(parseRosterRow(line)).toBeUndefined();
  });
});

describe('serial numbers', () => {
  test('are ordered as people count', () => {
    const ordered = ['GW-1', 'GW-9', 'GW-10', 'GW-099', 'GW-100', 'GW-100-1', 'GW-1000', 'GX-1', 'a 7'];
    expect([...ordered].sort((a, b) => (serialKey(a) < serialKey(b) ? -1 : 1))).toEqual(ordered);
    expect(serialKey('GW-0042')).toBe(serialKey('GW-42'));
    expect(serialKey('GW-000')).toBe('GW-00');
  });

  test('become names that a device may have', () => {
    expect(['GW-0001', 'A_b/C 7', '1', 'x'.repeat(64), 'GW..1'].map(serialName)).toEqual([
      'gw-0001',
      'a-b-c-7',
      '1',
      'x'.repeat(63),
      'gw-1',
    ]);
  });
});
