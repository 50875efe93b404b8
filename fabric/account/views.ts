import { ROLES } from '../access/roles.ts';
import {
  count,
  hex,
  listOf,
  named,
  number,
  orNull,
  rowsOf,
  type Shown,
  shown,
  time,
  whether,
  wordOf,
  words,
} from '../operations/contract/output.ts';

/** Whoever asks, and what it may. */
export const Me = named('Me', 'Whoever asks, and what it may.', {
  name: words('The name of the person or the token.', 'Anna'),
  role: wordOf(ROLES, 'See docs/fabric-api.md.'),
  permissions: listOf(words('What it may.', 'devices.read')),
  via: wordOf(['operator', 'token', 'session'], 'By what it is known.'),
  hasPassword: whether('Is it a person who has a password here?'),
  owner: orNull(words('The name of the owner for whom it acts; null: for all of them.', 'default')),
  owners: listOf(
    shown({ name: words('The name of the owner.', 'default'), role: wordOf(ROLES, 'What it is there.') }),
    'At which owners it is something.',
  ),
  severalOwners: whether('Does it see what is of several owners, each of which is named then?'),
  whole: whether('May it do what concerns all owners, such as rotate certificates, if its role may?'),
});
export type Me = Shown<typeof Me>;

export const PasskeyView = named('Passkey', 'A passkey of the person who asks.', {
  id: number('By this number it is known.'),
  name: words('Its name.', 'phone'),
  credential: hex("The credential's id."),
  created: time('When it was made.'),
  used: orNull(time('When it has last signed in; null: never.')),
});
export type PasskeyView = Shown<typeof PasskeyView>;
export const PasskeysView = rowsOf(PasskeyView);
export type PasskeysView = Shown<typeof PasskeysView>;

export const RemovedPasskeyView = shown({ id: number('The passkey.') });
export type RemovedPasskeyView = Shown<typeof RemovedPasskeyView>;

export const RecoveryCodesView = shown({
  codes: listOf(words('A code that stands in for the password once; nobody can read it again.')),
});
export type RecoveryCodesView = Shown<typeof RecoveryCodesView>;

export const CodesLeftView = shown({ left: count('How many own recovery codes are left.') });
export type CodesLeftView = Shown<typeof CodesLeftView>;

export const AccountView = named('Account', 'An account elsewhere, by which the person who asks signs in.', {
  issuer: words('The OpenID issuer.', 'https://accounts.example.com'),
  subject: words('By this the issuer knows it, for ever.'),
  login: words('As the issuer calls it now.', 'anna@example.com'),
});
export type AccountView = Shown<typeof AccountView>;
export const AccountsView = rowsOf(AccountView);
export type AccountsView = Shown<typeof AccountsView>;

export const SignInWaysView = shown({
  issuer: orNull(
    words('How people know the OpenID issuer by whose accounts they sign in, too; null: there is none.'),
  ),
});
export type SignInWaysView = Shown<typeof SignInWaysView>;

export const ElsewhereView = shown({ address: words('Where the browser goes: a page of the issuer.') });
export type ElsewhereView = Shown<typeof ElsewhereView>;
