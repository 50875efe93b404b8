import type { Scope } from '../../../access/scope.ts';
import type { City, CountedCity } from '../../records.ts';
import { inScope, NUMBERS, numbers } from '../base/owned.ts';
import { type Database, prepare } from '../base/statements.ts';

/** A row of `place`, or the columns of one that a device is joined with. */
export interface CityRow {
  country: string;
  region: string;
  city: string;
  latitude: number;
  longitude: number;
  radius_km: number;
}

/** As exactly as a kilometre: what databases say beyond that is not meant. */
const PARTS_OF_DEGREE = 100;

/** A city as its row has it. */
export function cityRow({ country, region = '', city = '', point }: City): CityRow {
  const { latitude, longitude, radiusKm } = point;
  return {
    country,
    region,
    city,
    latitude: rounded(latitude),
    longitude: rounded(longitude),
    radius_km: radiusKm,
  };
}

/** The number of a city, which is made unless it is there; null for none. In the caller's transaction. */
export function cityId(db: Database, city: City | undefined): number | null {
  if (city === undefined) return null;
  const row = cityRow(city);
  const values = [row.country, row.region, row.city, row.latitude, row.longitude, row.radius_km];
  const columns = 'country, region, city, latitude, longitude, radius_km';
  const known = prepare(db, `SELECT id FROM place WHERE (${columns}) = (?, ?, ?, ?, ?, ?)`);
  const there =
    known.get(...values) ??
    prepare(db, `INSERT INTO place (${columns}) VALUES (?, ?, ?, ?, ?, ?) RETURNING id`).get(...values);
  return (there as { id: number }).id;
}

const rounded = (degrees: number): number => Math.round(degrees * PARTS_OF_DEGREE) / PARTS_OF_DEGREE;

export const cityOf = (row: CityRow): City => ({
  country: row.country,
  ...(row.region !== '' && { region: row.region }),
  ...(row.city !== '' && { city: row.city }),
  point: { latitude: row.latitude, longitude: row.longitude, radiusKm: row.radius_km },
});

/** The cities of numbers that `cityId` gave. */
export function citiesAt(db: Database, ids: readonly number[]): ReadonlyMap<number, City> {
  if (ids.length === 0) return new Map();
  const rows = prepare(db, `SELECT * FROM place WHERE id IN ${NUMBERS}`).all(numbers(ids));
  return new Map((rows as (CityRow & { id: number })[]).map((row) => [row.id, cityOf(row)]));
}

/** Where most devices are, those first. */
export function deviceCities(db: Database, scope: Scope, most: number): CountedCity[] {
  const own = inScope(scope);
  const rows = prepare(
    db,
    `SELECT place.*, devices FROM
       (SELECT place AS id, sum(devices) AS devices FROM device_place WHERE ${own.sql} GROUP BY place ORDER BY devices DESC, place LIMIT ?) AS counted
     JOIN place USING (id) ORDER BY devices DESC, id`,
  ).all(...own.values, most) as (CityRow & { devices: number })[];
  return rows.map((row) => ({ ...cityOf(row), devices: row.devices }));
}
