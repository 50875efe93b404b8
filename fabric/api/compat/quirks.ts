import { fromHex, toHex } from '../../../protocol/bytes.ts';
import { formatIpv6, type Prefix, parsePrefix } from '../../../protocol/ipv6.ts';
import type { Role } from '../../access/roles.ts';

/*
 * What the existing clients expect on the wire and the fabric's own API does not have, each in one function; test/vectors/enf-rest-api.json has
 * what they send and get.
 */

/** Which of the original's services a path belongs to: they do not answer alike. */
export type Service = 'xcr' | 'xiam' | 'xfw' | 'xdns';

/** What failed, as a problem of the API says it. */
export interface Refusal {
  readonly status: number;
  readonly code: string;
  readonly title: string;
  readonly detail?: string;
}

/** xcr and xdns wrap results, one alone, too, in a page of a list that has no pages. */
export const enveloped = <Row>(...data: readonly Row[]) => ({ data, page: { curr: -1, next: -1, prev: -1 } });

/** Calls without a result answer with an empty list. */
export const nothing = (): readonly never[] => [];

/** xiam has numbers where the others have a code, which for all that is wrong with an input is the same. */
export function errorBody(service: Service, { status, code, title, detail }: Refusal): object {
  const text = detail === undefined ? title : `${title}. ${detail}`;
  if (service === 'xiam') return { xiam_error: status, http_error: status, reason: text };
  return { error: { code: status === 400 ? 'validation_error' : code, text } };
}

/** No call has more levels: an object with objects. */
const LEVELS = 2;

/** go-enf sends what is not set as null; Terraform's provider sends texts that are not set as empty ones (`textOf`). Deeper than calls go stays as it is. */
export function withoutNulls(body: unknown, levels = LEVELS): unknown {
  if (typeof body !== 'object' || body === null || Array.isArray(body) || levels === 0) return body;
  const set = Object.entries(body).filter(([, value]) => value !== null);
  return Object.fromEntries(set.map(([name, value]) => [name, withoutNulls(value, levels - 1)]));
}

/** A text that is set. */
export const textOf = (value: string | undefined): string | undefined => (value === '' ? undefined : value);

/**
 * The prefixes of domains and networks stand in paths with their slash, which makes two parts of a path of one; also percent-encoded, and of a
 * domain its number.
 */
export function patternsOf(path: string): readonly string[] {
  const prefix = /\{(domain|network)\}/;
  const other = path.replace(/\{(?!domain|network)(\w+)\}/g, ':$1');
  return prefix.test(other) ? [':$1', ':$1/:$1Length'].map((names) => other.replace(prefix, names)) : [other];
}

/** What the path names: with the part behind the slash. */
export function namedInPath(params: Readonly<Record<string, string>>, name: 'domain' | 'network'): string {
  const length = params[`${name}Length`];
  return length === undefined ? params[name]! : `${params[name]}/${length}`;
}

/** Rules are known by UUIDs: the number of the rule is in the last part of one of version 4. */
export const ruleUuid = (id: number): string =>
  `00000000-0000-4000-8000-${id.toString(16).padStart(12, '0')}`;

/** The number; undefined for another UUID. */
export function ruleNumber(uuid: string): number | undefined {
  const digits = /^00000000-0000-4000-8000-([0-9a-f]{12})$/i.exec(uuid)?.[1];
  return digits === undefined ? undefined : Number.parseInt(digits, 16);
}

/** Invites have numbers: the first 48 bits of what they are known by. */
export const inviteNumber = (id: string): number => Number.parseInt(id.slice(0, 12), 16);

/** Rules are ordered by a number that a rule keeps, and several may have: it is noted of the rule. */
export const priorityNote = (priority: number): string => `priority ${priority}`;

/** The number that is noted; undefined of a rule that was made elsewhere. */
export function notedPriority(note: string | null): number | undefined {
  const digits = /^priority (-?\d{1,10})$/.exec(note ?? '')?.[1];
  return digits === undefined ? undefined : Number(digits);
}

/** Keys are in upper-case hex. */
export const upperKey = (key: string): string => toHex(fromHex(key)).toUpperCase();

/** An address may have a `/128` behind it. @throws Failure `ipv6.bad-address`, `ipv6.bad-prefix` */
export function addressAlone(text: string): string | undefined {
  const { address, length } = parsePrefix(text);
  return length === 128 ? formatIpv6(address) : undefined;
}

/** A single address, as rules have it. */
export const addressPrefix = (address: string): string => `${address}/128`;

/** All that is: as a rule may say it. */
export const isEverything = ({ address, length }: Prefix): boolean =>
  length === 0 && address.every((byte) => byte === 0);

/** What somebody is: two words for all roles. */
export const userType = (role: Role): string =>
  role === 'host' || role === 'owner' ? 'DOMAIN_ADMIN' : 'DOMAIN_USER';

/**
 * What signing in answers. enftun-keygen copies each text without looking whether it is one, and Terraform's provider takes the number of the domain
 * for granted: nothing is null.
 */
export const credentials = (of: {
  readonly username: string;
  readonly token: string;
  readonly person: number | undefined;
  readonly role: Role;
  readonly domain: number;
  readonly network: string | undefined;
}) =>
  enveloped({
    username: of.username,
    token: of.token,
    user_id: of.person ?? 0,
    type: userType(of.role),
    domain_id: of.domain,
    domain_network: of.network ?? '',
  });
