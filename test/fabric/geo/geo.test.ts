import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { placeOf } from '../../../fabric/geo/place.ts';
import { countriesFile, NO_PLACES, readPlaces } from '../../../fabric/geo/places.ts';
import { isSpecial, unwrapped } from '../../../os/net/special.ts';

const folder = mkdtempSync(join(tmpdir(), 'enf-geo-'));
afterAll(() => rmSync(folder, { recursive: true }));
const countries = await readPlaces(countriesFile());

describe('the database that comes with the program', () => {
  test.each([
    ['130.59.1.1', 'CH'],
    ['8.8.8.8', 'US'],
    ['::ffff:130.59.1.1', 'CH'],
    ['64:ff9b::823b:101', 'CH'],
    ['2001:620::1', 'CH'],
    ['2001:620::1%eth0', 'CH'],
  ])('says where %s is registered', (address, country) => {
    expect(countries.locate(address)).toEqual({ country });
  });

  test('names itself with its date', () => {
    expect(countries.source).toMatch(/^country ipvAll, \d{4}-\d\d-\d\d$/);
  });
});

describe('addresses that are registered nowhere', () => {
  test.each([
    '0.0.0.0',
    '10.1.2.3',
    '100.64.0.1',
    '100.127.255.255',
    '127.0.0.1',
    '169.254.1.1',
    '172.16.0.1',
    '172.31.255.255',
    '192.0.0.8',
    '192.0.2.1',
    '192.168.1.1',
    '198.18.0.1',
    '198.51.100.7',
    '203.0.113.9',
    '224.0.0.1',
    '240.0.0.1',
    '255.255.255.255',
    '::',
    '::1',
    '::ffff:192.168.1.1',
    '64:ff9b::10.0.0.1',
    '64:ff9b:1::1',
    '100::1',
    '2001::1',
    '2001:db8::1',
    'fc00::1',
    'fd00::1',
    'fe80::1%eth0',
    'ff02::1',
  ])('%s is private, with and without a database', (address) => {
    expect(countries.locate(address)).toBe('private');
    expect(NO_PLACES.locate(address)).toBe('private');
  });

  test.each(['9.255.255.255', '100.63.255.255', '172.32.0.1', '2001:200::1', '2a00::1', '1.1.1.1'])(
    '%s is not special',
    (address) => {
      expect(isSpecial(address)).toBe(false);
    },
  );

  test.each(['', 'unknown', '1.2.3', '1.2.3.4.5', 'fd00::1::2', 'host.example', '256.1.1.1'])(
    '%j is no address, and nothing is known of it',
    (text) => {
      expect(unwrapped(text)).toBeUndefined();
      expect(countries.locate(text)).toBe('unknown');
    },
  );
});

describe('a record', () => {
  const nested = {
    country: { iso_code: 'CH', names: { en: 'Switzerland' } },
    subdivisions: [{ iso_code: 'ZH', names: { en: 'Zurich' } }],
    city: { names: { en: 'Zürich', de: 'Zürich' } },
    location: { latitude: 47.37, longitude: 8.54, accuracy_radius: 20 },
  };

  test('is read in both schemas', () => {
    const point = { latitude: 47.37, longitude: 8.54 };
    expect(placeOf(nested)).toEqual({
      country: 'CH',
      region: 'Zurich',
      city: 'Zürich',
      point: { ...point, radiusKm: 20 },
    });
    expect(placeOf({ country_code: 'CH', state1: 'Zurich', city: 'Zürich', ...point })).toEqual({
      country: 'CH',
      region: 'Zurich',
      city: 'Zürich',
      point: { ...point, radiusKm: 50 },
    });
  });

  test.each([
    ['nothing', undefined],
    ['null', null],
    ['text', 'CH'],
    ['no country', { city: 'Zürich' }],
    ['a country that is no code', { country_code: 'Switzerland' }],
    ['a country that is a number', { country_code: 41 }],
  ])('of %s is none', (_, record) => {
    expect(placeOf(record)).toBeUndefined();
  });

  test('keeps no point outside the world and no endless name', () => {
    const place = placeOf({ country_code: 'CH', city: 'x'.repeat(5_000), latitude: 91, longitude: 0 });
    expect(place).toEqual({ country: 'CH', city: 'x'.repeat(80) });
    expect(placeOf({ country_code: 'CH', latitude: 'north', longitude: 0 })).toEqual({ country: 'CH' });
    expect(placeOf({ country_code: 'CH', location: { latitude: 1, longitude: 181 } })).toEqual({
      country: 'CH',
    });
  });
});

describe('a database that is none', () => {
  const bad = (name: string, bytes: Uint8Array | string): string => {
    writeFileSync(join(folder, name), bytes);
    return join(folder, name);
  };

  test('is refused by name', async () => {
    for (const file of [
      bad('empty', ''),
      bad('text', 'not a database'),
      bad('zeros', new Uint8Array(10_000)),
    ]) {
      await expect(readPlaces(file)).rejects.toMatchObject({ code: 'geo.bad-database' });
    }
    await expect(readPlaces(join(folder, 'absent'))).rejects.toMatchObject({ code: 'os.no-file' });
  });
});
