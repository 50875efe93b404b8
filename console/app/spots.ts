import type { CountryView, PlaceView } from '../../fabric/operations/views/overview.ts';
import { cityWords, count, placeWords } from './words.ts';

/** A country as a dot of the map; what is registered in none has no dot. */
export function spotOf({ country, devices, ok, refused }: CountryView) {
  if (country === null || country === 'private') return [];
  const words = `${placeWords(country)}: ${count(devices, 'device')}, ${ok} admitted, ${refused} refused`;
  return [{ key: country, country, devices, refused, words }];
}

/** A place of a database of cities as a dot: as large as its radius at least. */
export function cityOfMap(place: PlaceView) {
  const { country, region, city, latitude, longitude, radiusKm, devices } = place;
  const words = `${cityWords(place)}: ${count(devices, 'device')}`;
  const key = [country, region, city, latitude, longitude, radiusKm].join(' ');
  return { key, country, at: { latitude, longitude, radiusKm }, devices, refused: 0, words };
}

/** The dots of countries, less the devices that have one of their own. */
export function spotsOf(countries: readonly CountryView[], places: readonly PlaceView[]) {
  const placed = new Map<string, number>();
  for (const { country, devices } of places) placed.set(country, (placed.get(country) ?? 0) + devices);
  const rest = (row: CountryView): CountryView =>
    row.country === null
      ? row
      : { ...row, devices: Math.max(0, row.devices - (placed.get(row.country) ?? 0)) };
  return [...countries.map(rest).flatMap(spotOf), ...places.map(cityOfMap)];
}
