import { lookup as resolveName } from 'node:dns/promises';
import { isIP, type LookupFunction } from 'node:net';
import { isSpecial, unwrapped } from './special.ts';

/** Addresses that somebody else has named, and to which this host connects. */

const LONGEST = 500;

/** An address of the web, or what is wrong with it. */
export type WebAddress = { readonly url: URL } | { readonly wrong: string };

/** Parses `https://…` or `http://…`; what follows a `#` is left out. */
export function parseWebAddress(text: string): WebAddress {
  if (text.length > LONGEST) return { wrong: `at most ${LONGEST} characters, got ${text.length}` };
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined || !['https:', 'http:'].includes(url.protocol))
    return {
      wrong: `expected an address that begins with https: or http:, got ${JSON.stringify(text.slice(0, 60))}`,
    };
  if (url.username !== '' || url.password !== '')
    return { wrong: 'an address must not contain a user name or password' };
  url.hash = '';
  return { url };
}

/** Why nothing is sent to an address. Trying again may help: names resolve differently later. */
export class Forbidden extends Error {}

/**
 * Resolves the host of a URL, which must not lead into private networks unless these are allowed: else whoever may name one could reach
 * what only this host can. Returns the address and a lookup that gives it to the connection, so that a name cannot resolve
 * differently afterwards. @throws Forbidden, and the errors of the resolver
 */
export async function resolveOutbound(
  url: URL,
  allowPrivate: boolean,
): Promise<{ readonly address: string; readonly lookup: LookupFunction }> {
  const host = url.hostname.replace(/^\[|\]$/g, '');
  const found =
    isIP(host) === 0 ? await resolveName(host, { all: true }) : [{ address: host, family: isIP(host) }];
  const address = found[0]?.address;
  if (address === undefined) throw new Forbidden(`${host} has no address`);
  for (const each of allowPrivate ? [] : found) {
    if (isPrivate(each.address))
      throw new Forbidden(`${host} is ${each.address}, an address of a private network`);
  }
  const family = isIP(address);
  const lookup: LookupFunction = (_name, options, done) => {
    if (options.all) done(null, [{ address, family }]);
    else done(null, address, family);
  };
  return { address, lookup };
}

/** Is it registered nowhere? What is no address at all is not to be connected to either. */
export function isPrivate(address: string): boolean {
  const bare = unwrapped(address);
  return bare === undefined || isSpecial(bare);
}
