import { lookup, Resolver } from 'node:dns/promises';
import { isIP } from 'node:net';
import { formatService, isService } from './service.ts';

/**
 * The addresses of a name, in the order of preference; of a service (service.ts) its records as text, in no order. Rejects if there are none.
 */
export type Lookup = (host: string) => Promise<readonly string[]>;

/** For each of two attempts at each server. */
const PATIENCE_MS = 2_500;

/** The system's resolver, in its own order; for services the servers that it is configured with. */
export const systemLookup: Lookup = async (host) =>
  isService(host)
    ? systemServices(host)
    : (await lookup(host, { all: true, verbatim: true })).map(({ address }) => address);

async function systemServices(name: string): Promise<readonly string[]> {
  const records = await new Resolver({ timeout: PATIENCE_MS, tries: 2 }).resolveSrv(name);
  return records.map(({ name: host, ...rest }) => formatService({ host, ...rest }));
}

/** True for an address that no resolver is needed for. */
export const isLiteral = (host: string): boolean => isIP(host) !== 0;
