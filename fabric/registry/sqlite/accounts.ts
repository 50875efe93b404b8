import type { Database } from 'better-sqlite3';
import { Failure } from '../../../protocol/failure.ts';
import type { Account } from '../people.ts';
import type { Act } from '../records.ts';
import { appendAudit } from './audit.ts';
import { prepare } from './file/statements.ts';
import { requirePerson, subjectOf } from './people.ts';

/** The accounts of a person, one at each issuer. */
export function listAccounts(db: Database, person: number): Account[] {
  const rows = prepare(
    db,
    'SELECT issuer, subject, login FROM account WHERE person = ? ORDER BY issuer LIMIT 10',
  );
  return rows.all(person) as Account[];
}

/** Whose account it is, also if that person was removed. */
export function accountOwner(
  db: Database,
  { issuer, subject }: Pick<Account, 'issuer' | 'subject'>,
): number | undefined {
  const row = prepare(db, 'SELECT person FROM account WHERE issuer = ? AND subject = ?').get(issuer, subject);
  return (row as { person: number } | undefined)?.person;
}

/** The account is this person's from now on, in place of another one at that issuer. */
export function bindAccount(db: Database, at: number, person: number, account: Account): void {
  const { issuer, subject, login } = account;
  prepare(db, 'DELETE FROM account WHERE person = ? AND issuer = ?').run(person, issuer);
  prepare(
    db,
    'INSERT OR REPLACE INTO account (issuer, subject, person, login, created) VALUES (?, ?, ?, ?, ?)',
  ).run(issuer, subject, person, login, at);
}

/** @throws Failure `fabric.unknown-person`, `fabric.account-exists` */
export function addAccount(db: Database, { at, actor }: Act, id: number, account: Account): void {
  const subject = subjectOf(requirePerson(db, id));
  const owner = accountOwner(db, account);
  if (owner !== undefined && owner !== id && isThere(db, owner)) {
    throw new Failure('fabric.account-exists', 'operator', 'somebody else signs in by this account already', {
      action: 'Use another account, or ask that person to remove it.',
    });
  }
  bindAccount(db, at, id, account);
  const detail = { issuer: account.issuer, login: account.login };
  appendAudit(db, { at, actor, action: 'account.add', subject, detail });
}

/** @throws Failure `fabric.unknown-account` */
export function removeAccount(db: Database, { at, actor }: Act, id: number, issuer: string): void {
  const { changes } = prepare(db, 'DELETE FROM account WHERE person = ? AND issuer = ?').run(id, issuer);
  if (changes === 0) {
    throw new Failure('fabric.unknown-account', 'operator', 'you have no account there', {
      action: 'See how you sign in.',
    });
  }
  appendAudit(db, { at, actor, action: 'account.remove', subject: subjectOf({ id }), detail: { issuer } });
}

const isThere = (db: Database, id: number): boolean =>
  prepare(db, 'SELECT 1 FROM person WHERE id = ? AND removed IS NULL').get(id) !== undefined;
