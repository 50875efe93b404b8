import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { openLocator } from '../../../fabric/geo/locator.ts';
import { readPlaces } from '../../../fabric/geo/places.ts';
import { mmdb } from './mmdb.ts';

const folder = mkdtempSync(join(tmpdir(), 'enf-geo-'));
afterAll(() => rmSync(folder, { recursive: true }));
const file = (name: string, bytes: Uint8Array): string => {
  writeFileSync(join(folder, name), bytes);
  return join(folder, name);
};

const ZURICH = {
  country: { iso_code: 'CH' },
  city: { names: { en: 'Zurich' } },
  location: { latitude: 47.5, longitude: 8.5, accuracy_radius: 20 },
};

describe('a small database', () => {
  test.each([24, 28, 32])('with records of %i bits is read', async (size) => {
    const places = await readPlaces(
      file(
        'small.mmdb',
        mmdb('Own-City', { '130.59.0.0/16': ZURICH, '8.8.8.0/24': { country_code: 'US' } }, size),
      ),
    );
    expect(places.locate('130.59.1.1')).toEqual({
      country: 'CH',
      city: 'Zurich',
      point: { latitude: 47.5, longitude: 8.5, radiusKm: 20 },
    });
    expect(places.locate('8.8.8.8')).toEqual({ country: 'US' });
    expect(places.locate('9.9.9.9')).toBe('unknown');
    expect(places.source).toBe('Own-City, 2026-01-01');
  });

  test('[H-E24] that names no country, or of which a part is missing, is refused by name', async () => {
    const whole = mmdb('Own-City', { '130.59.0.0/16': ZURICH });
    for (const [name, bytes] of [
      ['asn.mmdb', mmdb('GeoLite2-ASN', { '130.59.0.0/16': { autonomous_system_number: 559 } })],
      ['empty.mmdb', mmdb('Empty', {})],
      ['end.mmdb', whole.subarray(0, whole.length - 40)],
      ['half.mmdb', whole.subarray(0, whole.length / 2)],
      ['beginning.mmdb', whole.subarray(whole.length - 180)],
    ] as const)
      await expect(readPlaces(file(name, bytes)), name).rejects.toMatchObject({ code: 'geo.bad-database' });
  });
});

describe('[H-E24] a database of cities beside that of countries', () => {
  const GENEVA = {
    country: { iso_code: 'CH' },
    subdivisions: [{ names: { en: 'Geneva' } }],
    city: { names: { en: 'Geneva' } },
    location: { latitude: 46.2, longitude: 6.14, accuracy_radius: 10 },
  };
  const known = { '130.59.0.0/16': { country_code: 'CH' }, '8.8.8.0/24': { country_code: 'US' } };
  const countries = () => file('countries.mmdb', mmdb('Countries', known));

  test('says the city where it knows it, and leaves the rest to the countries', async () => {
    const middle = {
      country: { iso_code: 'FR' },
      location: { latitude: 47, longitude: 2, accuracy_radius: 500 },
    };
    const cityFile = file('cities.mmdb', mmdb('Own-City', { '130.59.1.0/24': GENEVA, '9.9.9.0/24': middle }));
    const places = await openLocator({ database: countries(), cityFile }, () => {});
    expect(places.cityOf('130.59.1.1')).toEqual({
      country: 'CH',
      region: 'Geneva',
      city: 'Geneva',
      point: { latitude: 46.2, longitude: 6.14, radiusKm: 10 },
    });
    for (const [source, country] of [
      ['130.59.1.1', 'CH'],
      ['130.59.2.1', 'CH'],
      ['8.8.8.8', 'US'],
      ['9.9.9.9', 'FR'],
      ['10.0.0.1', 'private'],
      ['7.7.7.7', undefined],
    ] as const) {
      expect([source, places.locate(source)]).toEqual([source, country]);
      // The middle of a country is no city.
      if (source !== '130.59.1.1') expect([source, places.cityOf(source)]).toEqual([source, undefined]);
    }
    expect(places.used()).toEqual([
      { file: countries(), source: 'Countries, 2026-01-01', built: Date.UTC(2026, 0, 1) },
      { file: cityFile, source: 'Own-City, 2026-01-01', built: Date.UTC(2026, 0, 1) },
    ]);
  });

  test('that is absent or broken leaves countries, and is taken at the next reload; one of countries is none', async () => {
    const cityFile = join(folder, 'late-city.mmdb');
    const warnings: string[] = [];
    const places = await openLocator({ database: countries(), cityFile }, (message) =>
      warnings.push(message),
    );
    expect([places.locate('130.59.1.1'), places.cityOf('130.59.1.1')]).toEqual(['CH', undefined]);
    writeFileSync(cityFile, 'half a fi');
    expect(await places.reload()).toBe('Countries, 2026-01-01');
    writeFileSync(cityFile, mmdb('Countries', { '130.59.0.0/16': { country_code: 'CH' } }));
    expect(await places.reload()).toBe('Countries, 2026-01-01');
    writeFileSync(cityFile, mmdb('Own-City', { '130.59.1.0/24': GENEVA }));
    expect(await places.reload()).toBe('Countries, 2026-01-01; Own-City, 2026-01-01');
    expect(places.cityOf('130.59.1.1')).toMatchObject({ city: 'Geneva' });
    expect(warnings).toEqual([
      expect.stringMatching(/^no cities of handshakes are known: os\.no-file/),
      expect.stringMatching(/^no cities of handshakes are known: geo\.bad-database/),
      expect.stringMatching(/geo\.bad-database: .* names no city with its latitude and longitude$/),
    ]);
  });

  test('is enough: without countries, what it does not know is unknown', async () => {
    const cityFile = file('only.mmdb', mmdb('Own-City', { '130.59.1.0/24': GENEVA }));
    const places = await openLocator({ database: 'none', cityFile }, () => {});
    expect([places.locate('130.59.1.1'), places.locate('130.59.2.1')]).toEqual(['CH', undefined]);
  });
});

describe('[H-E24] a database that is read again', () => {
  test('takes the place of the one before, at once and for sources that were looked up', async () => {
    const path = file('places.mmdb', mmdb('First', { '130.59.0.0/16': { country_code: 'CH' } }));
    const warnings: string[] = [];
    const places = await openLocator({ database: path }, (message) => warnings.push(message));
    const { locate } = places;
    expect(locate('130.59.1.1')).toBe('CH');
    writeFileSync(path, mmdb('Second', { '130.59.0.0/16': { country_code: 'LI' } }));
    expect(locate('130.59.1.1')).toBe('CH');
    expect(await places.reload()).toBe('Second, 2026-01-01');
    expect(locate('130.59.1.1')).toBe('LI');
    expect(warnings).toEqual([]);
  });

  test('and is none leaves the one before; one that was none at first is taken when it is there', async () => {
    const path = join(folder, 'later.mmdb');
    const warnings: string[] = [];
    const places = await openLocator({ database: path }, (message) => warnings.push(message));
    expect(places.locate('130.59.1.1')).toBeUndefined();
    writeFileSync(path, mmdb('First', { '130.59.0.0/16': { country_code: 'CH' } }));
    expect(await places.reload()).toBe('First, 2026-01-01');
    writeFileSync(path, 'half a fi');
    expect(await places.reload()).toBe('First, 2026-01-01');
    expect(places.locate('130.59.1.1')).toBe('CH');
    expect(warnings).toHaveLength(2);
    expect(warnings[0]).toMatch(/^no places of handshakes are known: os\.no-file/);
    expect(warnings[1]).toMatch(/^First, 2026-01-01 goes on: geo\.bad-database/);
  });
});
