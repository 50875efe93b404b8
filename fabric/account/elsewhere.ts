import { Failure, isFailure } from '../../protocol/failure.ts';
import { NEWCOMER_ROLES, type Role } from '../access/roles.ts';
import { oneOf, optional, text } from '../operations/contract/input.ts';
import type { Account, Person } from '../registry/people.ts';
import type { Registry } from '../registry/registry.ts';
import { accountOperation, type SignedIn, signedInView } from './operation.ts';
import { checkName, NAME, SOURCE } from './sign-in.ts';
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
  { ...ACCOUNT, name: NAME, newcomer: optional(oneOf(...NEWCOMER_ROLES)), source: SOURCE },
  async ({ registry, guard }, { name, newcomer, source, ...account }) => {
    const id = await personOf(registry, account, name, newcomer);
    if (id === undefined) {
      if (guard.isNotable(source)) await registry.signInFailed(undefined, source);
      throw new Failure('access.not-invited', 'operator', `nobody has invited ${account.login}`, {
        action: 'Ask for an invite for this account ("enf-fabric console invite --login").',
      });
    }
    return signedInView(await registry.signedIn(id, { via: 'account', from: source }));
  },
);

/** Who signs in by this account from now on; undefined: nobody may. */
async function personOf(
  registry: Registry,
  account: Account,
  name: string,
  newcomer: Role | undefined,
): Promise<number | undefined> {
  const owner = await registry.accountOwner(account);
  if (owner !== undefined && (await isThere(registry, owner))) return owner;
  const invite = await registry.inviteFor(account.login);
  // Whoever was removed does not come back with its domain.
  if (invite === undefined && (newcomer === undefined || owner !== undefined)) return undefined;
  const person = { name: checkName(name), account };
  const added: Person =
    invite === undefined
      ? await registry.admitPerson(newcomer!, person)
      : await registry.acceptInvite(invite.hash, person);
  return added.id;
}

async function isThere(registry: Registry, id: number): Promise<boolean> {
  try {
    await registry.person(id);
    return true;
  } catch (error) {
    if (isFailure(error, 'fabric.unknown-person')) return false;
    throw error;
  }
}

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

/** @throws Failure `fabric.unknown-account` */
export const removeAccount = accountOperation<{ issuer: string }, object>(
  'account-remove',
  'fresh',
  { issuer: ISSUER },
  async ({ registry }, { issuer }, { name, person }) => {
    await registry.removeAccount(name, person, issuer);
    return {};
  },
);
