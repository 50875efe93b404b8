import { ROLES } from '../../access/roles.ts';
import { optional } from '../contract/input.ts';
import {
  CHANGED,
  count,
  listOf,
  named,
  number,
  orNull,
  prefix,
  type Shown,
  shown,
  time,
  wordOf,
  words,
} from '../contract/output.ts';

const ID = number('By this number it is known; it is never given again.');
const ROLE = wordOf(ROLES, 'What it may: see docs/fabric-api.md.');

export const OwnerRoleView = shown({ name: words('The name of the owner.', 'default'), role: ROLE });

export const PersonView = named('Person', 'Somebody who may sign in.', {
  id: ID,
  name: words('Its name, which nobody else has.', 'Anna'),
  role: ROLE,
  owners: listOf(OwnerRoleView, 'What it is at which owner, as far as whoever asks may know.'),
  createdBy: words('Who has invited this person.'),
  created: time('When it came.'),
  signedIn: orNull(time('When it has last signed in; null: not since it came.')),
  removed: orNull(time('When it was removed; null: it was not.')),
  passkeys: count('How many passkeys it has.'),
});
export type PersonView = Shown<typeof PersonView>;

export const OwnerView = named(
  'Owner',
  'To whom networks, groups and devices belong, and who sees nothing of others.',
  {
    name: words('Its name, which no other owner has.', 'acme'),
    status: wordOf(['active', 'closed'], 'Nobody acts for a closed one.'),
    created: time('When it was added.'),
    networks: count('How many networks it has.'),
    prefixes: listOf(prefix('A prefix.'), 'What it was lent, and adds its networks in.'),
  },
);
export type OwnerView = Shown<typeof OwnerView>;

export const PersonRoleView = shown({ ...PersonView.properties, changed: CHANGED });
export type PersonRoleView = Shown<typeof PersonRoleView>;

export const RemovedPersonView = shown({ id: ID, name: words('The name that it had.') });
export type RemovedPersonView = Shown<typeof RemovedPersonView>;

export const InviteView = shown({
  invite: words('The text by which one person may come, which is shown once.'),
  role: ROLE,
  expires: time('Until when it holds.'),
  login: optional(words('Whoever an OpenID issuer calls so needs no address of an invite.')),
});
export type InviteView = Shown<typeof InviteView>;

export const OpenInviteView = named('Invite', 'An invite that somebody may still use, without its text.', {
  id: words('By this it is withdrawn; nobody comes in by it.', '1f0c3a5b7d9e2468'),
  role: ROLE,
  owner: orNull(
    words("The name of the owner whose people it makes one more of; null: it is the host's.", 'default'),
  ),
  createdBy: words('Who made it.'),
  expires: time('Until when it holds.'),
  login: orNull(words('Whoever an OpenID issuer calls so needs no address of an invite; null: nobody.')),
});
export type OpenInviteView = Shown<typeof OpenInviteView>;

export const WithdrawnInviteView = shown({
  id: words('The invite.', '1f0c3a5b7d9e2468'),
  role: ROLE,
});
export type WithdrawnInviteView = Shown<typeof WithdrawnInviteView>;

export const TokenView = named('Token', 'A token of the API, without its text.', {
  id: ID,
  name: words('Its name.', 'monitoring'),
  role: ROLE,
  createdBy: words('Who made it.'),
  created: time('When it was made.'),
  expires: time('Until when it holds.'),
  revoked: orNull(time('When it was revoked; null: it was not.')),
  used: orNull(time('When it was last used, within a minute; null: never.')),
});
export type TokenView = Shown<typeof TokenView>;

export const NewTokenView = shown({
  ...TokenView.properties,
  token: words('Its text, which nobody can read again.'),
});
export type NewTokenView = Shown<typeof NewTokenView>;

export const RevokedView = shown({ id: ID, changed: CHANGED });
export type RevokedView = Shown<typeof RevokedView>;
