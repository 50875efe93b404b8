import type { Database } from 'better-sqlite3';
import type { Credentials } from '../../credentials.ts';
import type { People } from '../../people.ts';
import type { Act } from '../../records.ts';
import type { CommitQueue } from '../file/group-commit.ts';
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
import { acceptInvite, addInvite, findInvite, personByAccount } from './invites.ts';
import {
  endSessions,
  passwordOf,
  removePerson,
  requirePerson,
  setPassword,
  setRole,
  signedIn,
  signInFailed,
} from './people.ts';

/** The actor of sign-ins that fail: nobody knows who it was. */
const CONSOLE = 'console';

interface Parts {
  /** Runs each access to the file. */
  read<T>(work: () => T): T;
  readonly queue: CommitQueue;
  act(actor: string): Act;
  now(): number;
}

/** People, and how they sign in. */
export function peoplePart(
  db: Database,
  { read, queue, act, now }: Parts,
): Omit<People, 'people'> & Credentials {
  return {
    person: async (who) => read(() => requirePerson(db, who)),
    setRole: (actor, id, role) => queue.submit(() => setRole(db, act(actor), id, role)),
    removePerson: (actor, id) => queue.submit(() => removePerson(db, act(actor), id)),
    addInvite: (actor, invite) => queue.submit(() => addInvite(db, act(actor), invite)),
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
