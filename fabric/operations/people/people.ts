import { requireGrantable } from '../../access/grant.ts';
import { ROLES, type Role } from '../../access/roles.ts';
import { issueSecret } from '../../access/secrets.ts';
import type { OpenInvite, Person } from '../../registry/people.ts';
import type { OwnedRegistry } from '../../registry/registry.ts';
import { oneOf, optional, text, whole } from '../contract/input.ts';
import { isoTime, listOperation, operation } from '../contract/operation.ts';
import type {
  InviteView,
  OpenInviteView,
  PersonRoleView,
  PersonView,
  RemovedPersonView,
  WithdrawnInviteView,
} from '../views/people.ts';

const HOUR_MS = 3_600_000;
const MOST_HOURS = 168;
const LONGEST_NAME = 60;
const LONGEST_LOGIN = 254;
const LONGEST_INVITE_ID = 40;

/** A page of people, oldest first. */
export const listPeople = listOperation(
  'person-list',
  (registry, page) => registry.people(page),
  () => personView,
);

/**
 * Makes an invite, by which one person may come in a role: whoever has its text, or signs in by an account that its issuer calls `login`.
 * @throws Failure `access.forbidden`
 */
export const invitePerson = operation<{ role: Role; hours: number; login?: string | undefined }, InviteView>(
  'person-invite',
  { role: oneOf(...ROLES), hours: whole(1, MOST_HOURS), login: optional(text(LONGEST_LOGIN)) },
  async ({ registry, actor, role: own, now }, { role, hours, login }) => {
    requireGrantable(actor, own, role);
    const { text: invite, hash } = issueSecret('invite');
    const expires = now() + hours * HOUR_MS;
    const by = login === undefined ? {} : { login };
    await registry.addInvite(actor, { hash, role, expires, ...by });
    return { invite, role, expires: isoTime(expires), ...by };
  },
);

/** A page of the invites that somebody may still use. */
export const listInvites = listOperation(
  'invite-list',
  (registry, page) => registry.invites(page),
  () => openInviteView,
);

/** Withdraws an invite: nobody comes in by it any more. @throws Failure `fabric.unknown-invite`, `access.forbidden` */
export const withdrawInvite = operation<{ id: string }, WithdrawnInviteView>(
  'invite-withdraw',
  { id: text(LONGEST_INVITE_ID) },
  async ({ registry, actor, role: own }, { id }) => {
    const { role } = await registry.openInvite(id);
    requireGrantable(actor, own, role);
    await registry.withdrawInvite(actor, id);
    return { id, role };
  },
);

const openInviteView = ({ id, role, ownerName, createdBy, expires, login }: OpenInvite): OpenInviteView => ({
  ...{ id, role, owner: ownerName ?? null, createdBy },
  ...{ expires: isoTime(expires), login: login ?? null },
});

/**
 * Changes the role of a person, by number or name, and ends all its sessions.
 * @throws Failure `fabric.unknown-person`, `fabric.last-owner`, `access.forbidden`
 */
export const setPersonRole = operation<{ person: string; role: Role }, PersonRoleView>(
  'person-role',
  { person: text(LONGEST_NAME), role: oneOf(...ROLES) },
  async ({ registry, actor, role: own }, { person, role }) => {
    const { id, role: before } = await personNamed(registry, person);
    requireGrantable(actor, own, before);
    requireGrantable(actor, own, role);
    const changed = await registry.setRole(actor, id, role);
    return { ...personView(await registry.person(id)), changed };
  },
);

/** Removes a person at once. @throws Failure `fabric.unknown-person`, `fabric.last-owner`, `access.forbidden` */
export const removePerson = operation<{ person: string }, RemovedPersonView>(
  'person-remove',
  { person: text(LONGEST_NAME) },
  async ({ registry, actor, role: own }, { person }) => {
    const { id, name, role } = await personNamed(registry, person);
    requireGrantable(actor, own, role);
    await registry.removePerson(actor, id);
    return { id, name };
  },
);

/** Only digits are a number: no name is. */
export const personNamed = (registry: OwnedRegistry, text: string): Promise<Person> =>
  registry.person(/^\d{1,15}$/.test(text) ? Number(text) : text);

export function personView({
  created,
  signedIn,
  removed,
  generation: _,
  hasPassword: __,
  owners,
  ...person
}: Person): PersonView {
  return {
    ...person,
    owners: owners.map(({ name, role }) => ({ name, role })),
    created: isoTime(created),
    signedIn: signedIn === undefined ? null : isoTime(signedIn),
    removed: removed === undefined ? null : isoTime(removed),
  };
}
