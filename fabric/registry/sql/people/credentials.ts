import { Failure } from '../../../../protocol/failure.ts';
import { EVERYTHING } from '../../../access/scope.ts';
import { MOST_PASSKEYS, type NewPasskey, type Passkey } from '../../credentials.ts';
import type { Account } from '../../people.ts';
import type { Act } from '../../records.ts';
import { bytes, type Database, prepare } from '../base/statements.ts';
import { appendAudit } from '../trail/audit.ts';
import { ownerOfPerson } from './owners.ts';
import { requirePerson, subjectOf } from './people.ts';

interface Row {
  id: number;
  person: number;
  credential: Uint8Array;
  public_key: Uint8Array;
  counter: number;
  name: string;
  created: number;
  used: number | null;
}

function passkeyOf({ credential, public_key: publicKey, used, ...rest }: Row): Passkey {
  return {
    ...rest,
    credential: bytes(credential),
    publicKey: bytes(publicKey),
    ...(used === null ? {} : { used }),
  };
}

export function listPasskeys(db: Database, person: number): Passkey[] {
  const rows = prepare(db, 'SELECT * FROM passkey WHERE person = ? ORDER BY id LIMIT ?');
  return (rows.all(person, MOST_PASSKEYS) as Row[]).map(passkeyOf);
}

export function findPasskey(db: Database, credential: Uint8Array): Passkey | undefined {
  const row = prepare(db, 'SELECT * FROM passkey WHERE credential = ?').get(credential) as Row | undefined;
  return row === undefined ? undefined : passkeyOf(row);
}

/** @throws Failure `fabric.unknown-person`, `fabric.passkey-exists`, `access.too-many-passkeys` */
export function addPasskey(db: Database, { at, actor }: Act, passkey: NewPasskey): Passkey {
  const { person, credential, publicKey, counter, name } = passkey;
  if (requirePerson(db, EVERYTHING, person).passkeys >= MOST_PASSKEYS) {
    throw new Failure(
      'access.too-many-passkeys',
      'operator',
      `a person has at most ${MOST_PASSKEYS} passkeys`,
      {
        action: 'Remove one that is no longer used.',
      },
    );
  }
  if (findPasskey(db, credential) !== undefined) {
    throw new Failure('fabric.passkey-exists', 'operator', 'the passkey is registered already', {
      action: 'Sign in with it, or remove it first.',
    });
  }
  prepare(
    db,
    'INSERT INTO passkey (person, credential, public_key, counter, name, created) VALUES (?, ?, ?, ?, ?, ?)',
  ).run(person, credential, publicKey, counter, name, at);
  const added = findPasskey(db, credential)!;
  const detail = { passkey: added.id, name };
  appendAudit(db, {
    at,
    actor,
    owner: ownerOfPerson(db, person),
    action: 'passkey.add',
    subject: subjectOf({ id: person }),
    detail,
  });
  return added;
}

/** @throws Failure `fabric.unknown-passkey`, `access.last-way-in` */
export function removePasskey(db: Database, { at, actor }: Act, person: number, id: number): void {
  const { changes } = prepare(db, 'DELETE FROM passkey WHERE id = ? AND person = ?').run(id, person);
  if (changes === 0) {
    throw new Failure('fabric.unknown-passkey', 'operator', `you have no passkey ${id}`, {
      action: 'See the list of your passkeys.',
    });
  }
  requireWayIn(db, person);
  const detail = { passkey: id };
  appendAudit(db, {
    at,
    actor,
    owner: ownerOfPerson(db, person),
    action: 'passkey.remove',
    subject: subjectOf({ id: person }),
    detail,
  });
}

/** False if the count of the authenticator is not above the last one; those that do not count say 0 always. */
export function usePasskey(db: Database, at: number, id: number, counter: number): boolean {
  const { changes } = prepare(
    db,
    'UPDATE passkey SET counter = ?, used = ? WHERE id = ? AND (counter < ? OR (counter = 0 AND ? = 0))',
  ).run(counter, at, id, counter, counter);
  return changes > 0;
}

/** @throws Failure `fabric.unknown-person` */
export function setRecoveryCodes(
  db: Database,
  { at, actor }: Act,
  person: number,
  hashes: readonly Uint8Array[],
): void {
  const subject = subjectOf(requirePerson(db, EVERYTHING, person));
  prepare(db, 'DELETE FROM recovery_code WHERE person = ?').run(person);
  for (const hash of hashes) prepare(db, 'INSERT INTO recovery_code VALUES (?, ?)').run(person, hash);
  const owner = ownerOfPerson(db, person);
  appendAudit(db, {
    at,
    actor,
    owner,
    action: 'person.recovery-codes',
    subject,
    detail: { codes: hashes.length },
  });
}

export function useRecoveryCode(db: Database, person: number, hash: Uint8Array): boolean {
  return prepare(db, 'DELETE FROM recovery_code WHERE person = ? AND hash = ?').run(person, hash).changes > 0;
}

export function recoveryCodesLeft(db: Database, person: number): number {
  const row = prepare(db, 'SELECT count(*) AS codes FROM recovery_code WHERE person = ?').get(person);
  return (row as { codes: number }).codes;
}

/** The accounts of a person, one at each issuer. */
export function listAccounts(db: Database, person: number): Account[] {
  const rows = prepare(
    db,
    'SELECT issuer, subject, login FROM account WHERE person = ? AND unlinked IS NULL ORDER BY issuer LIMIT 10',
  );
  return rows.all(person) as Account[];
}

/** Whose account it is, also if that person was removed. */
export function accountOwner(
  db: Database,
  { issuer, subject }: Pick<Account, 'issuer' | 'subject'>,
): number | undefined {
  const row = prepare(
    db,
    'SELECT person FROM account WHERE issuer = ? AND subject = ? AND unlinked IS NULL',
  ).get(issuer, subject);
  return (row as { person: number } | undefined)?.person;
}

/** Is it somebody's, or was it, also of somebody who was removed? */
export const wasLinked = (db: Database, { issuer, subject }: Pick<Account, 'issuer' | 'subject'>): boolean =>
  prepare(db, 'SELECT 1 FROM account WHERE issuer = ? AND subject = ?').get(issuer, subject) !== undefined;

/** Accounts that a person has given up, and that are known still. */
const UNLINKED_KEPT = 20;

/** The account of a person at an issuer is nobody's from then on; false if there is none. */
function unlinkAccount(db: Database, at: number, person: number, issuer: string): boolean {
  const { changes } = prepare(
    db,
    'UPDATE account SET unlinked = ? WHERE person = ? AND issuer = ? AND unlinked IS NULL',
  ).run(at, person, issuer);
  prepare(
    db,
    `DELETE FROM account WHERE (issuer, subject) IN
       (SELECT issuer, subject FROM account WHERE person = ? AND unlinked IS NOT NULL ORDER BY unlinked DESC LIMIT 1000 OFFSET ?)`,
  ).run(person, UNLINKED_KEPT);
  return changes > 0;
}

/** The account is this person's from now on, in place of another one at that issuer. */
export function bindAccount(db: Database, at: number, person: number, account: Account): void {
  const { issuer, subject, login } = account;
  unlinkAccount(db, at, person, issuer);
  prepare(
    db,
    `INSERT INTO account (issuer, subject, person, login, created) VALUES (?, ?, ?, ?, ?)
     ON CONFLICT (issuer, subject) DO UPDATE SET person = excluded.person, login = excluded.login, created = excluded.created, unlinked = NULL`,
  ).run(issuer, subject, person, login, at);
}

/** @throws Failure `fabric.unknown-person`, `fabric.account-exists` */
export function addAccount(db: Database, { at, actor }: Act, id: number, account: Account): void {
  const subject = subjectOf(requirePerson(db, EVERYTHING, id));
  const owner = accountOwner(db, account);
  if (owner !== undefined && owner !== id && isThere(db, owner)) {
    throw new Failure('fabric.account-exists', 'operator', 'somebody else signs in by this account already', {
      action: 'Use another account, or ask that person to remove it.',
    });
  }
  bindAccount(db, at, id, account);
  const detail = { issuer: account.issuer, login: account.login };
  appendAudit(db, { at, actor, owner: ownerOfPerson(db, id), action: 'account.add', subject, detail });
}

/** @throws Failure `fabric.unknown-account`, `access.last-way-in` */
export function removeAccount(db: Database, { at, actor }: Act, id: number, issuer: string): void {
  if (!unlinkAccount(db, at, id, issuer)) {
    throw new Failure('fabric.unknown-account', 'operator', 'you have no account there', {
      action: 'See how you sign in.',
    });
  }
  requireWayIn(db, id);
  appendAudit(db, {
    at,
    actor,
    owner: ownerOfPerson(db, id),
    action: 'account.remove',
    subject: subjectOf({ id }),
    detail: { issuer },
  });
}

/** Nobody gives up the last way by which it signs in; recovery codes are for an emergency, and end. @throws Failure `access.last-way-in` */
function requireWayIn(db: Database, id: number): void {
  const { hasPassword, passkeys } = requirePerson(db, EVERYTHING, id);
  if (hasPassword || passkeys > 0 || listAccounts(db, id).length > 0) return;
  throw new Failure('access.last-way-in', 'operator', 'you sign in by nothing else', {
    action: 'Choose a password, or add a passkey or an account, and remove it then.',
  });
}

const isThere = (db: Database, id: number): boolean =>
  prepare(db, 'SELECT 1 FROM person WHERE id = ? AND removed IS NULL').get(id) !== undefined;
