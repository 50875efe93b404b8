import { Failure } from '../../protocol/failure.ts';
import { OWNER_ROLES, type Role } from '../access/roles.ts';
import { oneOf, optional, text } from '../operations/contract/input.ts';
import type { Account } from '../registry/people.ts';
import { accountOperation, type SignedIn, signedInView } from './operation.ts';
import { checkName, isName, LONGEST_NAME, NAME, SOURCE } from './sign-in.ts';
import type { AccountsView } from './views.ts';

const ISSUER = text(500);
const ACCOUNT = { issuer: ISSUER, subject: text(255), login: text(254) };

/**
 * Signs a person in by an account at an issuer, which the console has verified. Whoever is not known comes in by an invite for its login, or
 * as `newcomer` if the console's configuration lets everybody of its domain in.
 * @throws Failure `access.not-invited`, `access.bad-name`, `fabric.person-exists`
 */
export const signInByAccount = accountOperation<
  Account & { name: string; newcomer?: Role | undefined; source: string },
  SignedIn
>(
  'account-sign-in',
  'console',
  { ...ACCOUNT, name: NAME, newcomer: optional(oneOf(...OWNER_ROLES)), source: SOURCE },
  async ({ registry, guard }, { name, newcomer, source, ...account }) => {
    const person = await registry.personByAccount(account, { names: namesOf(name, account.login), newcomer });
    if (person === undefined) {
      if (guard.isNotable(source)) await registry.signInFailed(undefined, source);
      throw new Failure('access.not-invited', 'operator', `nobody has invited ${account.login}`, {
        action: 'Ask for an invite for this account ("enf-fabric console invite --login").',
      });
    }
    return signedInView(registry, await registry.signedIn(person.id, { via: 'account', from: source }));
  },
);

/** Others of its name are told from it by their login, or by a number. */
const NUMBERED = 9;

/**
 * What to call somebody: by its name, by its login if that is taken or none, and else with a number. Names are what the issuer says: nobody chose
 * them.
 * @throws Failure `access.bad-name` if neither has a letter
 */
function namesOf(name: string, login: string): string[] {
  const own = [name, login.slice(0, LONGEST_NAME).replace(/[\ud800-\udbff]$/, '')].filter(isName);
  const [first = checkName(name)] = own;
  const numbered = Array.from(
    { length: NUMBERED - 1 },
    (_, i) => `${first.slice(0, LONGEST_NAME - 2).trim()} ${i + 2}`,
  );
  return [...own, ...numbered].map(checkName);
}

/**
 * Shows by an own account, at whose issuer somebody has signed in anew, that the person is still there. The console has verified that.
 * @throws Failure `access.other-account`
 */
export const confirmByAccount = accountOperation<Account, object>(
  'account-confirm',
  'person',
  ACCOUNT,
  async ({ registry }, account, { person }) => {
    if ((await registry.accountOwner(account)) === person) return {};
    throw new Failure('access.other-account', 'operator', `${account.login} is not an account of yours`, {
      action: 'Sign in at the issuer as the person who has signed in here.',
    });
  },
);

/** Asked before a person goes to the issuer for its account. */
export const beginAccount = accountOperation<object, object>('account-begin', 'fresh', {}, async () => ({}));

/** Lets a person sign in by an account that the console has verified. @throws Failure `fabric.account-exists` */
export const addAccount = accountOperation<Account, object>(
  'account-add',
  'fresh',
  ACCOUNT,
  async ({ registry }, account, { name, person }) => {
    await registry.addAccount(name, person, account);
    return {};
  },
);

/** The own accounts elsewhere. */
export const listAccounts = accountOperation<object, AccountsView>(
  'account-list',
  'person',
  {},
  async ({ registry }, _input, { person }) => ({ rows: await registry.accounts(person) }),
);

/** @throws Failure `fabric.unknown-account`, `access.last-way-in` */
export const removeAccount = accountOperation<{ issuer: string }, object>(
  'account-remove',
  'fresh',
  { issuer: ISSUER },
  async ({ registry }, { issuer }, { name, person }) => {
    await registry.removeAccount(name, person, issuer);
    return {};
  },
);
