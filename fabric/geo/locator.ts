import { isFailure } from '../../protocol/failure.ts';
import { newestMap } from '../../protocol/newest-map.ts';
import { type CityPlace, isCity } from './place.ts';
import { countriesFile, NO_PLACES, type Places, readCities, readPlaces } from './places.ts';

/** Sources whose place is remembered: a flood comes from few, or each is looked up in some microseconds. */
const REMEMBERED = 10_000;

/** What is known of a source. */
interface Known {
  /** Where it is registered: an ISO 3166-1 code, "private" for what is registered nowhere; absent if nobody knows. */
  readonly country?: string;
  readonly city?: CityPlace;
}

/** The files that places are read from. */
export interface PlaceFiles {
  /** A database, `none`, or unless given the one that comes with the program. */
  readonly database?: string | undefined;
  /** A database of cities, which is asked first. */
  readonly cityFile?: string | undefined;
}

/** A database that is used, and when it was made (milliseconds since 1970). */
export interface UsedDatabase {
  readonly file: string;
  readonly source: string;
  readonly built: number;
}

/** Looks places up in databases that can be read again while they are used. */
export interface Locator {
  /** Where an address is registered: an ISO 3166-1 code, "private" for one that is registered nowhere, undefined if nobody knows. */
  locate(source: string): string | undefined;
  /** The same as finely as a database of cities says; undefined without one, or if it does not know. */
  cityOf(source: string): CityPlace | undefined;
  /**
   * Reads the files again. One that cannot be read leaves what was read before: `warn` is told. Returns what is used now, as `Places` names it;
   * undefined: no place is known.
   */
  reload(): Promise<string | undefined>;
  used(): readonly UsedDatabase[];
}

/** Looks places up, in cities first, and remembers the newest. */
export function locator(countries: Places, cities: Places = NO_PLACES): (source: string) => Known {
  const remembered = newestMap<string, Known>(REMEMBERED);
  return (source) => {
    const before = remembered.get(source);
    if (before !== undefined) return before;
    const known = look(countries, cities, source);
    remembered.set(source, known);
    return known;
  };
}

function look(countries: Places, cities: Places, source: string): Known {
  const fine = cities.locate(source);
  const located = fine === 'unknown' ? countries.locate(source) : fine;
  if (located === 'unknown') return {};
  if (located === 'private') return { country: located };
  return { country: located.country, ...(isCity(fine) && { city: fine }) };
}

/**
 * The places in these databases. One that cannot be read is no reason not to serve: `warn` is told, and it says nothing until it can be; without
 * the cities places are countries.
 */
export async function openLocator(files: PlaceFiles, warn: (message: string) => void): Promise<Locator> {
  const { database, cityFile } = files;
  let [countries, cities] = [NO_PLACES, NO_PLACES];
  let look = locator(countries);
  const read = async (before: Places, what: string, reading: () => Promise<Places>): Promise<Places> => {
    try {
      return await reading();
    } catch (error) {
      const why = isFailure(error) ? `${error.code}: ${error.message}` : (error as Error).message;
      warn(
        `${before.source === undefined ? `no ${what} of handshakes are known` : `${before.source} goes on`}: ${why}`,
      );
      return before;
    }
  };
  const reload = async (): Promise<string | undefined> => {
    if (database !== 'none')
      countries = await read(countries, 'places', () => readPlaces(database ?? countriesFile()));
    if (cityFile !== undefined) cities = await read(cities, 'cities', () => readCities(cityFile));
    look = locator(countries, cities);
    return (
      used()
        .map(({ source }) => source)
        .join('; ') || undefined
    );
  };
  const used = (): readonly UsedDatabase[] =>
    [
      { file: database ?? countriesFile(), places: countries },
      { file: cityFile ?? '', places: cities },
    ].flatMap(({ file, places: { source, built } }) =>
      source === undefined || built === undefined ? [] : [{ file, source, built }],
    );
  await reload();
  return {
    locate: (source) => look(source).country,
    cityOf: (source) => look(source).city,
    reload,
    used,
  };
}
