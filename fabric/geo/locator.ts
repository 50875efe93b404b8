import { isFailure } from '../../protocol/failure.ts';
import { countriesFile, NO_PLACES, type Places, readPlaces } from './places.ts';

/** Sources whose place is remembered: a flood comes from few, or each is looked up in some microseconds. */
const REMEMBERED = 10_000;

/** Where an address is registered: an ISO 3166-1 code, "private" for one that is registered nowhere, undefined if nobody knows. */
export type Locate = (source: string) => string | undefined;

/** Looks places up in a database that can be read again while it is used. */
export interface Locator {
  readonly locate: Locate;
  /**
   * Reads the file again. One that cannot be read leaves what was read before: `warn` is told. Returns what is used now, as `Places` names it;
   * undefined: no place is known.
   */
  reload(): Promise<string | undefined>;
}

/** Looks places up, and remembers the newest. */
export function locator(places: Places): Locate {
  const known = new Map<string, string | undefined>();
  return (source) => {
    if (known.has(source)) return known.get(source);
    const located = places.locate(source);
    const country = located === 'unknown' ? undefined : located === 'private' ? located : located.country;
    if (known.size >= REMEMBERED) known.delete(known.keys().next().value!);
    known.set(source, country);
    return country;
  };
}

/**
 * The places in a database, `none`, or unless given the one that comes with the program. One that cannot be read is no reason not to serve:
 * `warn` is told, and no place is known until it can be.
 */
export async function openLocator(
  file: string | undefined,
  warn: (message: string) => void,
): Promise<Locator> {
  let places = NO_PLACES;
  let locate = locator(places);
  const reload = async (): Promise<string | undefined> => {
    try {
      places = file === 'none' ? NO_PLACES : await readPlaces(file ?? countriesFile());
      locate = locator(places);
    } catch (error) {
      const why = isFailure(error) ? `${error.code}: ${error.message}` : (error as Error).message;
      const still =
        places.source === undefined ? 'no places of handshakes are known' : `${places.source} goes on`;
      warn(`${still}: ${why}`);
    }
    return places.source;
  };
  await reload();
  return { locate: (source) => locate(source), reload };
}
