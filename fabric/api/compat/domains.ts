import { Failure } from '../../../protocol/failure.ts';
import { formatPrefix, parsePrefix } from '../../../protocol/ipv6.ts';
import type { Me } from '../../account/views.ts';
import { allOf, type Call, domainId, requireShort, seenBy, unsupported } from './call.ts';
import { enveloped, namedInPath } from './quirks.ts';

/*
 * A domain is a prefix that the host has lent an owner. Whoever runs the host sees those of all owners, an owner its own.
 */

export interface Domain {
  readonly prefix: string;
  /** The name of the owner. */
  readonly owner: string;
  readonly status: 'active' | 'closed';
}

/** What a path names: a domain, or all of an owner. */
export interface NamedDomains {
  /** At least one. */
  readonly domains: readonly Domain[];
  /** The number of the owner, if the caller acts for it. */
  readonly id: number | null;
}

async function domainsSeen(call: Call): Promise<readonly Domain[]> {
  const { host, owner } = await seenBy(call);
  if (!host || owner !== null) return ownDomains(call);
  const owners = await allOf((page) => call.run('owner-list', page));
  return requireShort(
    owners.flatMap(({ name, status, prefixes }) =>
      prefixes.map((prefix) => ({ prefix, owner: name, status })),
    ),
  );
}

/** Of the owner for whom the caller acts: the first one for whoever acts for all. */
async function ownDomains(call: Call): Promise<readonly Domain[]> {
  const { owner } = await call.account<Me>('me', {});
  const name = owner ?? (await call.run('owner-list', { limit: 1 })).rows[0]!.name;
  const { prefixes } = await call.run('prefix-list', {});
  return prefixes.map((prefix) => ({ prefix, owner: name, status: 'active' }));
}

/** The first prefix that the owner for whom the caller acts was lent. */
export const firstPrefix = async (call: Call): Promise<string | undefined> =>
  (await call.run('prefix-list', {})).prefixes[0];

/** By the prefix of a domain, or by the number of its owner. @throws Failure `compat.unknown-domain`, `ipv6.bad-prefix` */
export async function domainsOf(call: Call): Promise<NamedDomains> {
  const text = namedInPath(call.params, 'domain');
  const [id, own] = [domainId(await seenBy(call)), await ownDomains(call)];
  const isNumber = /^\d{1,15}$/.test(text);
  const prefix = isNumber ? undefined : formatPrefix(parsePrefix(text));
  const mine = own.filter((each) => (isNumber ? Number(text) === id : each.prefix === prefix));
  if (mine.length > 0) return { domains: mine, id };
  const others = isNumber ? [] : (await domainsSeen(call)).filter((each) => each.prefix === prefix);
  if (others.length === 0) throw unknownDomain(text);
  return { domains: others, id: null };
}

const unknownDomain = (text: string): Failure =>
  new Failure('compat.unknown-domain', 'operator', `there is no domain ${text.slice(0, 60)} here`, {
    action: 'A domain is a prefix that an owner was lent: "enf-fabric owner lend OWNER PREFIX".',
  });

const domainView = ({ owner, prefix, status }: Domain) => ({
  name: owner,
  network: prefix,
  status: status === 'active' ? 'ACTIVE' : 'READY',
});

export const listDomains = async (call: Call) => enveloped(...(await domainsSeen(call)).map(domainView));

export const getDomain = async (call: Call) => enveloped(...(await domainsOf(call)).domains.map(domainView));

/** What is so already is answered; an owner is not closed and opened again. */
export async function setDomainStatus(call: Call) {
  const views = (await domainsOf(call)).domains.map(domainView);
  if (views.every(({ status }) => status === call.bare)) return enveloped(...views);
  throw unsupported(
    'the status of a domain stays as it is',
    'Suspend its batches ("enf-fabric group suspend"), or close its owner for good ("enf-fabric owner close").',
  );
}
