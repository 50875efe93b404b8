import Type, { type TSchema } from 'typebox';
import { ACCOUNT_OPERATIONS } from '../account/account.ts';
import { optional, text } from '../operations/contract/input.ts';
import { fieldsInPath } from '../operations/contract/request.ts';
import { ACCOUNT_ANSWERS } from './account-answers.ts';
import { PASSKEY_ANSWER } from './passkeys.ts';

/** A route of signing in, and of what a person does for itself. */
export interface AccountRoute {
  readonly name: string;
  readonly method: 'GET' | 'POST' | 'DELETE';
  readonly path: string;
  readonly summary: string;
  /** Anyone, a person who has signed in, one who has shown lately that it is there, or any caller: the bearer of a token, too. */
  readonly who: 'anyone' | 'person' | 'fresh' | 'caller';
  /** JSON schemas of the fields of path and body. */
  readonly fields: Readonly<Record<string, TSchema>>;
  readonly required: readonly string[];
  readonly inPath: readonly string[];
  /** The JSON schema of the answer. */
  readonly answer: TSchema;
}

type Row = Pick<AccountRoute, 'method' | 'path' | 'who' | 'summary'> & {
  readonly fields?: AccountRoute['fields'];
};

const TABLE: Readonly<Record<string, Row>> = {
  setup: {
    method: 'POST',
    path: '/setup',
    who: 'anyone',
    summary: 'Becomes a person by an invite, and signs in',
  },
  'sign-in': { method: 'POST', path: '/session', who: 'anyone', summary: 'Signs in by name and password' },
  'sign-out': { method: 'DELETE', path: '/session', who: 'anyone', summary: 'Signs out', fields: {} },
  'sign-out-everywhere': {
    method: 'DELETE',
    path: '/sessions',
    who: 'person',
    summary: 'Ends all own sessions',
  },
  me: { method: 'GET', path: '/me', who: 'caller', summary: 'Who asks, and what it may' },
  'passkey-sign-in-options': {
    method: 'POST',
    path: '/session/passkey/options',
    who: 'anyone',
    summary: 'What a browser needs to sign in by a passkey',
    fields: {},
  },
  'passkey-sign-in': {
    method: 'POST',
    path: '/session/passkey',
    who: 'anyone',
    summary: 'Signs in by a passkey',
    fields: { response: PASSKEY_ANSWER },
  },
  confirm: {
    method: 'POST',
    path: '/session/confirm',
    who: 'person',
    summary: 'Shows by the password that the person is still there',
  },
  'passkey-confirm-options': {
    method: 'POST',
    path: '/session/confirm/passkey/options',
    who: 'person',
    summary: 'What a browser needs to show that by a passkey',
    fields: {},
  },
  'passkey-confirm': {
    method: 'POST',
    path: '/session/confirm/passkey',
    who: 'person',
    summary: 'Shows by an own passkey that the person is still there',
    fields: { response: PASSKEY_ANSWER },
  },
  'sign-in-ways': {
    method: 'GET',
    path: '/session/ways',
    who: 'anyone',
    summary: 'Whether one signs in by accounts of an OpenID issuer, too, and how people know that',
    fields: {},
  },
  'account-sign-in': {
    method: 'POST',
    path: '/session/account',
    who: 'anyone',
    summary: 'Where the browser goes to sign in by an account of the issuer',
    fields: {},
  },
  'account-confirm': {
    method: 'POST',
    path: '/session/confirm/account',
    who: 'person',
    summary:
      'Where the browser goes to show that the person is still there, by signing in anew at the issuer',
    fields: {},
  },
  'account-list': { method: 'GET', path: '/accounts', who: 'person', summary: 'The own accounts elsewhere' },
  'account-add': {
    method: 'POST',
    path: '/accounts',
    who: 'fresh',
    summary: 'Where the browser goes so that the person may sign in by an account of the issuer',
    fields: {},
  },
  'account-remove': {
    method: 'POST',
    path: '/accounts/remove',
    who: 'fresh',
    summary: 'Lets the person sign in by the account at an issuer no longer',
  },
  'passkey-list': { method: 'GET', path: '/passkeys', who: 'person', summary: 'The own passkeys' },
  'passkey-options': {
    method: 'POST',
    path: '/passkeys/options',
    who: 'fresh',
    summary: 'What a browser needs to make a passkey',
    fields: {},
  },
  'passkey-add': {
    method: 'POST',
    path: '/passkeys',
    who: 'fresh',
    summary: 'Registers a passkey',
    fields: { name: text(60), response: PASSKEY_ANSWER },
  },
  'passkey-remove': {
    method: 'DELETE',
    path: '/passkeys/{id}',
    who: 'fresh',
    summary: 'Removes an own passkey',
  },
  events: {
    method: 'GET',
    path: '/events',
    who: 'caller',
    summary: 'What happens, as server-sent events, also for `owner`',
    fields: { owner: optional(text(63)) },
  },
  'password-change': {
    method: 'POST',
    path: '/password',
    who: 'person',
    summary: 'Changes the own password, and ends all other sessions',
  },
  'recovery-codes-left': {
    method: 'GET',
    path: '/recovery-codes',
    who: 'person',
    summary: 'How many own recovery codes are left',
  },
  'recovery-codes': {
    method: 'POST',
    path: '/recovery-codes',
    who: 'fresh',
    summary: 'Makes ten recovery codes, which replace all former ones',
  },
};

/** What the console itself adds to an input. */
const ADDED = 'source';

export const ACCOUNT_ROUTES: readonly AccountRoute[] = Object.entries(TABLE).map(([name, row]) => {
  const all = row.fields ?? fieldsOf(name);
  const fields = Object.fromEntries(Object.entries(all).filter(([field]) => field !== ADDED));
  const required = Object.keys(fields).filter((field) => !Type.IsOptional(fields[field]!));
  return { ...row, name, fields, required, inPath: fieldsInPath(row.path), answer: ACCOUNT_ANSWERS[name]! };
});

function fieldsOf(operation: string): AccountRoute['fields'] {
  const { properties } = ACCOUNT_OPERATIONS.get(operation)!.input as { properties?: AccountRoute['fields'] };
  return properties ?? {};
}
