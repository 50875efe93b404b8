/** Where an address is registered; that need not be where the device is. */
export interface Place {
  /** ISO 3166-1 alpha-2, e.g. "CH". */
  readonly country: string;
  /** As the database names them, in English. */
  readonly region?: string;
  readonly city?: string;
  /** In degrees, with how far the device may be from there. */
  readonly point?: { readonly latitude: number; readonly longitude: number; readonly radiusKm: number };
}

/** A place that is known more finely than its country. */
export type CityPlace = Place & Required<Pick<Place, 'point'>>;

/** True for a place with a point and the name of a city or region: databases of cities give countries a point, too, somewhere in their middle. */
export const isCity = (located: Located): located is CityPlace =>
  typeof located === 'object' &&
  located.point !== undefined &&
  (located.city !== undefined || located.region !== undefined);

/** What is known of an address: a place, that it belongs to no place, or nothing. */
export type Located = Place | 'private' | 'unknown';

/** Names longer than this are cut: they are shown, never compared. */
const MOST_NAME = 80;
/** What a city database means where it gives no radius. */
const CITY_RADIUS_KM = 50;

/**
 * The place in a record of a database, in MaxMind's nesting (`country.iso_code`, `city.names.en`, `location`) or flat (`country_code`, `city`,
 * `latitude`); undefined for a record without a country.
 */
export function placeOf(record: unknown): Place | undefined {
  const fields = object(record);
  const country = text(object(fields.country).iso_code) ?? text(fields.country_code) ?? text(fields.country);
  if (country === undefined || !/^[A-Z]{2}$/.test(country)) return undefined;
  const [subdivision] = Array.isArray(fields.subdivisions) ? (fields.subdivisions as unknown[]) : [];
  const region = english(subdivision) ?? text(fields.state1) ?? text(fields.region);
  const city = english(fields.city) ?? text(fields.city);
  const point = pointOf(Object.hasOwn(fields, 'location') ? object(fields.location) : fields);
  return {
    country,
    ...(region === undefined ? {} : { region }),
    ...(city === undefined ? {} : { city }),
    ...(point === undefined ? {} : { point }),
  };
}

function pointOf(fields: Record<string, unknown>): Place['point'] | undefined {
  const [latitude, longitude] = [Number(fields.latitude), Number(fields.longitude)];
  if (fields.latitude === undefined || !(Math.abs(latitude) <= 90) || !(Math.abs(longitude) <= 180))
    return undefined;
  const radius = Number(fields.accuracy_radius);
  return { latitude, longitude, radiusKm: radius > 0 && radius <= 20_000 ? radius : CITY_RADIUS_KM };
}

const object = (value: unknown): Record<string, unknown> =>
  typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};

const text = (value: unknown): string | undefined =>
  typeof value === 'string' && value !== '' ? value.slice(0, MOST_NAME) : undefined;

const english = (value: unknown): string | undefined => text(object(object(value).names).en);
