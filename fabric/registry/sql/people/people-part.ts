import { EVERYTHING, type Scope } from '../../../access/scope.ts';
import type { Credentials } from '../../credentials.ts';
import type { Owners, OwnersReader } from '../../owners.ts';
import type { People } from '../../people.ts';
import type { Act } from '../../records.ts';
import type { OwnedRegistry } from '../../registry.ts';
import type { CommitQueue } from '../base/commit-queue.ts';
import type { Database } from '../base/statements.ts';
import {
  accountOwner,
  addAccount,
  addPasskey,
  findPasskey,
  listAccounts,
  listPasskeys,
  recoveryCodesLeft,
  removeAccount,
  removePasskey,
  setRecoveryCodes,
  usePasskey,
  useRecoveryCode,
} from './credentials.ts';
import {
  acceptInvite,
  addInvite,
  findInvite,
  openInvite,
  personByAccount,
  withdrawInvite,
} from './invites.ts';
import {
  addOwner,
  closeOwner,
  hasOneOwner,
  lendPrefix,
  listOwners,
  membershipsOf,
  ownerNamed,
  renameOwner,
  takeBackPrefix,
} from './owners.ts';
import {
  endSessions,
  passwordOf,
  removePerson,
  requirePerson,
  setMembership,
  setPassword,
  setRole,
  signedIn,
  signInFailed,
} from './people.ts';
import { addToken, revokeToken } from './tokens.ts';

/** The actor of sign-ins that fail: nobody knows who it was. */
const CONSOLE = 'console';

interface Parts {
  /** Runs each access to the file. */
  read<T>(work: () => T): T;
  readonly queue: CommitQueue;
  act(actor: string): Act;
  now(): number;
}

/** The people of an owner, and its tokens. */
export const ownPeoplePart = (db: Database, scope: Scope, { read, queue, act, now }: Parts) =>
  ({
    person: async (who) => read(() => requirePerson(db, scope, who)),
    setRole: (actor, id, role) => queue.submit(() => setRole(db, scope, act(actor), id, role)),
    removePerson: (actor, id) => queue.submit(() => removePerson(db, scope, act(actor), id)),
    addInvite: (actor, invite) => queue.submit(() => addInvite(db, scope, act(actor), invite)),
    openInvite: async (id) => read(() => openInvite(db, scope, id, now())),
    withdrawInvite: (actor, id) => queue.submit(() => withdrawInvite(db, scope, act(actor), id)),
    addToken: (actor, token) => queue.submit(() => addToken(db, scope, act(actor), token)),
    revokeToken: (actor, id) => queue.submit(() => revokeToken(db, scope, act(actor), id)),
  }) satisfies Partial<OwnedRegistry>;

/** Owners, read on this connection. */
export const ownersReader = (db: Database, read: Parts['read']): OwnersReader => ({
  owners: async (page) => read(() => listOwners(db, page)),
  async ownerNamed(name) {
    const { id } = read(() => ownerNamed(db, name));
    return { id, name };
  },
  hasOneOwner: async () => read(() => hasOneOwner(db)),
});

/** What the host does with owners. */
export const ownersPart = (db: Database, { read, queue, act }: Parts) =>
  ({
    addOwner: (actor, name) => queue.submit(() => addOwner(db, act(actor), name)),
    renameOwner: (actor, owner, name) => queue.submit(() => renameOwner(db, act(actor), owner, name)),
    closeOwner: (actor, owner) => queue.submit(() => closeOwner(db, act(actor), owner)),
    lendPrefix: (actor, owner, prefix) => queue.submit(() => lendPrefix(db, act(actor), owner, prefix)),
    takeBackPrefix: (actor, owner, prefix) =>
      queue.submit(() => takeBackPrefix(db, act(actor), owner, prefix)),
    setMembership: (actor, owner, person, role) =>
      queue.submit(() => setMembership(db, act(actor), { person, owner: ownerNamed(db, owner).id, role })),
    memberships: async (person) => read(() => membershipsOf(db, person)),
  }) satisfies Partial<Owners>;

/** People, and how they sign in. */
export function peoplePart(db: Database, { read, queue, act, now }: Parts): People & Credentials {
  return {
    person: async (who) => read(() => requirePerson(db, EVERYTHING, who)),
    invite: async (hash) => read(() => findInvite(db, hash, now())),
    personByAccount: (account, entry) =>
      queue.submit(() => personByAccount(db, act(CONSOLE), account, entry)),
    acceptInvite: (hash, person) => queue.submit(() => acceptInvite(db, now(), hash, person)),
    passwordOf: async (name) => read(() => passwordOf(db, name)),
    setPassword: (actor, id, password) => queue.submit(() => setPassword(db, act(actor), id, password)),
    endSessions: (actor, id) => queue.submit(() => endSessions(db, act(actor), id)),
    signedIn: (id, how) => queue.submit(() => signedIn(db, now(), id, how)),
    signInFailed: (id, from) => queue.submit(() => signInFailed(db, act(CONSOLE), id, from)),

    passkeys: async (person) => read(() => listPasskeys(db, person)),
    passkey: async (credential) => read(() => findPasskey(db, credential)),
    addPasskey: (actor, passkey) => queue.submit(() => addPasskey(db, act(actor), passkey)),
    removePasskey: (actor, person, id) => queue.submit(() => removePasskey(db, act(actor), person, id)),
    usePasskey: (id, counter) => queue.submit(() => usePasskey(db, now(), id, counter)),
    accounts: async (person) => read(() => listAccounts(db, person)),
    accountOwner: async (account) => read(() => accountOwner(db, account)),
    addAccount: (actor, person, account) => queue.submit(() => addAccount(db, act(actor), person, account)),
    removeAccount: (actor, person, issuer) =>
      queue.submit(() => removeAccount(db, act(actor), person, issuer)),
    setRecoveryCodes: (actor, person, hashes) =>
      queue.submit(() => setRecoveryCodes(db, act(actor), person, hashes)),
    useRecoveryCode: (person, hash) => queue.submit(() => useRecoveryCode(db, person, hash)),
    recoveryCodesLeft: async (person) => read(() => recoveryCodesLeft(db, person)),
  };
}
