import { lookup as resolveName } from 'node:dns/promises';
import { isIP, type LookupFunction } from 'node:net';
import { isSpecial, unwrapped } from '../../os/net/special.ts';
import { Failure } from '../../protocol/failure.ts';

/** Where a hook sends to. */
export type Destination =
  | { readonly kind: 'http'; readonly url: URL }
  | { readonly kind: 'mail'; readonly to: string };

const LONGEST = 500;
const MAILBOX = /^[^\s@<>"'(),:;[\]\\]{1,64}@[A-Za-z0-9.-]{1,190}$/;

/** Parses `https://…`, `http://…` or `mailto:NAME@HOST`. @throws Failure `fabric.bad-hook` */
export function parseDestination(text: string): Destination {
  if (text.length > LONGEST) throw badHook(`at most ${LONGEST} characters, got ${text.length}`);
  const [, to] = /^mailto:(.*)$/i.exec(text) ?? [];
  if (to !== undefined) {
    if (!MAILBOX.test(to)) throw badHook('expected mailto:NAME@HOST with one address');
    return { kind: 'mail', to };
  }
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined || !['https:', 'http:'].includes(url.protocol))
    throw badHook(`expected an https: address or mailto:NAME@HOST, got ${JSON.stringify(text.slice(0, 60))}`);
  if (url.username !== '' || url.password !== '')
    throw badHook('an address must not contain a user name or password');
  url.hash = '';
  return { kind: 'http', url };
}

function badHook(what: string): Failure {
  return new Failure('fabric.bad-hook', 'operator', `the hook: ${what}`, {
    action: 'Give an address such as https://hooks.example.org/enf or mailto:ops@example.org.',
  });
}

/** Why nothing is sent to an address. Trying again may help: names resolve differently later. */
export class Forbidden extends Error {}

/**
 * Resolves the host of a URL, which must not lead into private networks unless these are allowed: else whoever may add a hook could reach
 * what only the fabric's host can. Returns the address and a lookup that gives it to the connection, so that a name cannot resolve
 * differently afterwards. @throws Forbidden, and the errors of the resolver
 */
export async function resolveDestination(
  url: URL,
  allowPrivate: boolean,
): Promise<{ readonly address: string; readonly lookup: LookupFunction }> {
  const host = url.hostname.replace(/^\[|\]$/g, '');
  const found =
    isIP(host) === 0 ? await resolveName(host, { all: true }) : [{ address: host, family: isIP(host) }];
  const address = found[0]?.address;
  if (address === undefined) throw new Forbidden(`${host} has no address`);
  for (const each of allowPrivate ? [] : found) {
    const bare = unwrapped(each.address);
    if (bare === undefined || isSpecial(bare))
      throw new Forbidden(`${host} is ${each.address}, an address of a private network`);
  }
  if (url.protocol === 'http:' && !isPrivate(address))
    throw new Forbidden('http: is only for private networks; use https:');
  const family = isIP(address);
  const lookup: LookupFunction = (_name, options, done) => {
    if (options.all) done(null, [{ address, family }]);
    else done(null, address, family);
  };
  return { address, lookup };
}

const isPrivate = (address: string): boolean => {
  const bare = unwrapped(address);
  return bare !== undefined && isSpecial(bare);
};
