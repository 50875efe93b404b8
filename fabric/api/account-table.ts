import Type, { type TSchema } from 'typebox';
import { ACCOUNT_OPERATIONS } from '../account/account.ts';
import { text } from '../operations/contract/input.ts';
import { fieldsInPath } from '../operations/contract/request.ts';
import { ACCOUNT_ANSWERS } from './account-answers.ts';
import { PASSKEY_ANSWER } from './passkeys.ts';

/** A route of signing in, and of what a person does for itself. */
export interface AccountRoute {
  readonly name: string;
  readonly method: 'GET' | 'POST' | 'DELETE';
  readonly path: string;
  readonly summary: string;
  /** Anyone, a person who has signed in, or any caller: the bearer of a token, too. */
  readonly who: 'anyone' | 'person' | 'caller';
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
  'passkey-list': { method: 'GET', path: '/passkeys', who: 'person', summary: 'The own passkeys' },
  'passkey-options': {
    method: 'POST',
    path: '/passkeys/options',
    who: 'person',
    summary: 'What a browser needs to make a passkey',
    fields: {},
  },
  'passkey-add': {
    method: 'POST',
    path: '/passkeys',
    who: 'person',
    summary: 'Registers a passkey',
    fields: { name: text(60), response: PASSKEY_ANSWER },
  },
  'passkey-remove': {
    method: 'DELETE',
    path: '/passkeys/{id}',
    who: 'person',
    summary: 'Removes an own passkey',
  },
  events: {
    method: 'GET',
    path: '/events',
    who: 'caller',
    summary: 'What happens, as server-sent events',
    fields: {},
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
    who: 'person',
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
