import { lookup } from 'node:dns/promises';
import { isIP } from 'node:net';

/** The addresses of a name, in the order of preference. Rejects if there are none. */
export type Lookup = (host: string) => Promise<readonly string[]>;

/** The system's resolver, in its own order. */
export const systemLookup: Lookup = async (host) =>
  (await lookup(host, { all: true, verbatim: true })).map(({ address }) => address);

/** True for an address that no resolver is needed for. */
export const isLiteral = (host: string): boolean => isIP(host) !== 0;
