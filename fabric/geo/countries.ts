import { countriesFile, NO_PLACES, readPlaces } from './places.ts';

/** Where an address is registered: an ISO 3166-1 code, "private" for one that is registered nowhere, or null if nobody knows. */
export type CountryOf = (address: string) => string | null;

let loaded: Promise<CountryOf> | undefined;

/** Looks countries up in the database that comes with the program, which is read when somebody asks first; without it none is known. */
export function countries(): Promise<CountryOf> {
  loaded ??= load();
  return loaded;
}

async function load(): Promise<CountryOf> {
  const places = await readPlaces(countriesFile()).catch(() => NO_PLACES);
  return (address) => {
    const located = places.locate(address);
    if (located === 'unknown') return null;
    return located === 'private' ? located : located.country;
  };
}
