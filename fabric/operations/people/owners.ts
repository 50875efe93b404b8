import { Failure } from '../../../protocol/failure.ts';
import { formatPrefix, isInUnicast, type Prefix, parsePrefix } from '../../../protocol/ipv6.ts';
import { OWNER_ROLES, type Role } from '../../access/roles.ts';
import { EVERYTHING } from '../../access/scope.ts';
import type { Owner } from '../../registry/owners.ts';
import { badInput, oneOf, text } from '../contract/input.ts';
import { type Context, isoTime, listOperation, operation, wholeOf } from '../contract/operation.ts';
import type { OwnerView, PersonRoleView } from '../views/people.ts';
import { personNamed, personView } from './people.ts';

/*
 * Owners: to each belong networks, groups, devices, alarms, hooks, tokens and people, and none sees anything of another. All of this is the
 * host's to do.
 */

/** A DNS label (RFC 1123) in lower case: it stands in headers and on command lines. */
const NAME = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/;
const OWNER = text(63);
const LONGEST_PERSON = 60;
/** A shorter prefix is no organization's. */
const SHORTEST = 16;

/** A page of owners, oldest first. */
export const listOwners = listOperation<Owner, OwnerView>(
  'owner-list',
  async (_, page, __, context) => wholeOf(context).owners(page),
  () => ownerView,
);

/**
 * What was begun by the only owner sees everything, and would go on so: nothing of that runs on when there is another one.
 * @throws Failure `fabric.owner-exists`, `fabric.too-many-owners`, `fabric.jobs-running`, `fabric.bad-input`
 */
export const addOwner = operation<{ name: string }, OwnerView>(
  'owner-add',
  { name: OWNER },
  async (context, { name }) => {
    const whole = wholeOf(context);
    const running = () => (context.jobs?.list(EVERYTHING) ?? []).filter(({ state }) => state === 'running');
    const isSecond = await whole.hasOneOwner();
    if (isSecond && running().length > 0) throw jobsRunning();
    const added = await whole.addOwner(context.actor, named(name));
    // One that has begun while the owner was written.
    if (isSecond) for (const { id } of running()) context.jobs?.cancel(EVERYTHING, id);
    return ownerView(added);
  },
);

/** @throws Failure `fabric.unknown-owner`, `fabric.owner-exists`, `fabric.bad-input` */
export const renameOwner = operation<{ owner: string; name: string }, OwnerView>(
  'owner-rename',
  { owner: OWNER, name: OWNER },
  async (context, { owner, name }) =>
    ownerView(await wholeOf(context).renameOwner(context.actor, owner, named(name))),
);

/** @throws Failure `fabric.unknown-owner`, `fabric.owner-not-idle`, `fabric.default-owner` */
export const closeOwner = operation<{ owner: string }, OwnerView>(
  'owner-close',
  { owner: OWNER },
  async (context, { owner }) => ownerView(await wholeOf(context).closeOwner(context.actor, owner)),
);

/** @throws Failure `fabric.unknown-owner`, `fabric.prefix-in-use`, `fabric.too-many-prefixes`, `fabric.bad-network`, `ipv6.bad-prefix` */
export const lendPrefix = operation<{ owner: string; prefix: string }, OwnerView>(
  'owner-lend',
  { owner: OWNER, prefix: text(64) },
  async (context, { owner, prefix }) =>
    ownerView(await wholeOf(context).lendPrefix(context.actor, owner, parseSpace(prefix))),
);

/** @throws Failure `fabric.unknown-owner`, `fabric.prefix-in-use`, `fabric.prefix-not-lent`, `ipv6.bad-prefix` */
export const takeBackPrefix = operation<{ owner: string; prefix: string }, OwnerView>(
  'owner-take-back',
  { owner: OWNER, prefix: text(64) },
  async (context, { owner, prefix }) =>
    ownerView(await wholeOf(context).takeBackPrefix(context.actor, owner, parsePrefix(prefix))),
);

/**
 * Makes a person, by number or name, something at an owner, beside what it is elsewhere; `none` takes that back.
 * @throws Failure `fabric.unknown-owner`, `fabric.unknown-person`, `fabric.last-owner`
 */
export const setMember = operation<
  { owner: string; person: string; role: Exclude<Role, 'host'> | 'none' },
  PersonRoleView
>(
  'owner-member',
  { owner: OWNER, person: text(LONGEST_PERSON), role: oneOf(...OWNER_ROLES, 'none') },
  async (context: Context, { owner, person, role }) => {
    const { registry, actor } = context;
    const whole = wholeOf(context);
    const { id, role: before } = await personNamed(registry, person);
    if (before === 'host') throw badInput('person', 'runs the fabric, and sees all owners already');
    const changed = await whole.setMembership(actor, owner, id, role === 'none' ? undefined : role);
    return { ...personView(await whole.person(id)), changed };
  },
);

const jobsRunning = (): Failure =>
  new Failure('fabric.jobs-running', 'retry', 'jobs are running that see all of the fabric', {
    action: 'Wait until they have ended, or cancel them: "enf-fabric job list".',
  });

function named(name: string): string {
  if (NAME.test(name)) return name;
  throw badInput(
    'name',
    'has to have 1 to 63 lower-case letters, digits and hyphens, none of them a hyphen at an end',
  );
}

/** @throws Failure `fabric.bad-network`, `ipv6.bad-prefix` */
function parseSpace(given: string): Prefix {
  const prefix = parsePrefix(given);
  if (prefix.length >= SHORTEST && prefix.length <= 64 && isInUnicast(prefix)) return prefix;
  throw new Failure(
    'fabric.bad-network',
    'operator',
    `what is lent is a /${SHORTEST} to /64 in 2000::/3 or fc00::/7, got ${formatPrefix(prefix)}`,
    { action: 'Give a prefix such as fd00:8f80:8000::/48.' },
  );
}

const ownerView = ({ id: _, name, status, created, networks, spaces }: Owner): OwnerView => ({
  name,
  status,
  created: isoTime(created),
  networks,
  prefixes: spaces.map(formatPrefix),
});
