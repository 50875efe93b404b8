import { Failure } from '../../../protocol/failure.ts';
import { badInput } from '../../operations/contract/input.ts';
import type { OpenInviteView, PersonView } from '../../operations/views/people.ts';
import { allOf, type Call, unsupported } from './call.ts';
import { domainsOf } from './domains.ts';
import { enveloped, inviteNumber, nothing, userType } from './quirks.ts';

/** How long an invite holds: the longest there is, since the clients do not say. */
const HOURS = 168;

const statusOf = ({ removed }: PersonView): string => (removed === null ? 'ACTIVE' : 'INACTIVE');

export async function listUsers(call: Call) {
  const { domains, id } = await domainsOf(call);
  const own = call.as(domains[0]!.owner);
  const people = await allOf((page) => own.run('person-list', page));
  return enveloped(
    ...people.map((person) => ({
      user_id: person.id,
      username: person.name,
      description: null,
      full_name: person.name,
      last_login: person.signedIn,
      domain_id: id,
      type: userType(person.role),
      reset_code: null,
      reset_time: null,
      status: statusOf(person),
    })),
  );
}

/** What is so already is answered; people are removed for good, and not for a while. @throws Failure `fabric.unknown-person`, `compat.unsupported` */
export async function setUserStatus(call: Call) {
  const people = await allOf((page) => call.run('person-list', page));
  const person = people.find(({ id }) => String(id) === call.params.id);
  if (person === undefined) {
    throw new Failure('fabric.unknown-person', 'operator', `there is no user ${call.params.id}`, {
      action: 'List the users of the domain.',
    });
  }
  if (call.body.status === statusOf(person)) return nothing();
  throw unsupported(
    `${person.name} is ${statusOf(person)}, and stays so`,
    'Remove a person for good with "enf-fabric person remove", and invite it again.',
  );
}

function inviteBody(
  { id, role, login, createdBy }: Pick<OpenInviteView, 'id' | 'role' | 'login' | 'createdBy'>,
  domain: number | null,
  token: string | null,
) {
  return {
    id: inviteNumber(id),
    created_by: createdBy,
    inserted_date: null,
    modified_data: null,
    version: null,
    domain_id: domain,
    email: login,
    invite_token: token,
    invited_by: createdBy,
    name: null,
    type: userType(role),
  };
}

/** The texts of invites nobody can read again. */
export async function listInvites(call: Call) {
  const { domains, id } = await domainsOf(call);
  const own = call.as(domains[0]!.owner);
  const invites = await allOf((page) => own.run('invite-list', page));
  return enveloped(...invites.map((invite) => inviteBody(invite, id, null)));
}

const ROLES = { DOMAIN_USER: 'operator', DOMAIN_ADMIN: 'owner' } as const;

/** Nobody is sent mail: whoever invites gives the text of the invite on. */
export async function createInvite(call: Call) {
  const { domains, id } = await domainsOf(call);
  const own = call.as(domains[0]!.owner);
  const { email, user_type } = call.body as { email: string; user_type: keyof typeof ROLES };
  if (email.trim() === '') throw badInput('email', 'is empty');
  const made = await own.run('person-invite', { role: ROLES[user_type], hours: HOURS, login: email });
  const open = await allOf((page) => own.run('invite-list', page));
  const invite = open.findLast(({ login, expires }) => login === email && expires === made.expires)!;
  return enveloped(inviteBody(invite, id, made.invite));
}

/** The code alone lets somebody in, who signs in by its mail address from then on. */
export async function acceptInvite(call: Call) {
  const { email, code, password } = call.body as { email: string; code: string; password: string };
  await call.account('setup', { invite: code, name: email, password, source: call.source });
  return nothing();
}

/** All that are for this address. @throws Failure `fabric.unknown-invite` */
export async function deleteInvite(call: Call) {
  const open = await allOf((page) => call.run('invite-list', page));
  const own = open.filter(({ login }) => login === call.params.email);
  if (own.length === 0) {
    throw new Failure('fabric.unknown-invite', 'operator', 'no invite that holds is for this address', {
      action: 'List the invites of the domain.',
    });
  }
  for (const { id } of own) await call.run('invite-withdraw', { id });
  return nothing();
}
