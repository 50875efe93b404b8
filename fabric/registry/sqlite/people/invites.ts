import type { Database } from 'better-sqlite3';
import { Failure } from '../../../../protocol/failure.ts';
import type { Role } from '../../../access/roles.ts';
import { DEFAULT_OWNER, EVERYTHING, HOST, type Scope } from '../../../access/scope.ts';
import { MOST_OWNERS } from '../../owners.ts';
import {
  type Account,
  type Entry,
  type Invite,
  loginKey,
  type NewPerson,
  type Person,
} from '../../people.ts';
import type { Act } from '../../records.ts';
import { bytes } from '../file/database.ts';
import { prepare } from '../file/statements.ts';
import { appendAudit } from '../trail/audit.ts';
import { accountOwner, bindAccount, wasLinked } from './credentials.ts';
import { requireActive } from './owners.ts';
import { addPerson, findPerson, setMembership } from './people.ts';
import { ownerFor } from './tokens.ts';

interface Row {
  hash: Uint8Array;
  role: Role;
  owner: number;
  created_by: string;
  expires: number;
  login: string | null;
}

/** Adds an invite, and forgets those that have expired. */
export function addInvite(db: Database, scope: Scope, { at, actor }: Act, invite: Invite): void {
  const { hash, role, expires, login } = invite;
  const owner = ownerFor(scope, role);
  if (owner !== HOST) requireActive(db, owner);
  prepare(db, 'DELETE FROM invite WHERE expires <= ?').run(at);
  prepare(
    db,
    'INSERT INTO invite (hash, role, created_by, expires, login, owner) VALUES (?, ?, ?, ?, ?, ?)',
  ).run(hash, role, actor, expires, login === undefined ? null : loginKey(login), owner);
  const detail = { role, expires, ...(login !== undefined && { login }) };
  appendAudit(db, { at, actor, owner, action: 'person.invite', subject: role, detail });
}

/** The invite with this hash that has not expired at `now`. */
export function findInvite(db: Database, hash: Uint8Array, now: number): Invite | undefined {
  const row = findRow(db, hash, now);
  return row === undefined ? undefined : inviteOf(row);
}

/** The newest invites for this login that have not expired at `now`, one of each owner; that of the host is the first. */
const findInvitesFor = (db: Database, login: string, now: number): Row[] =>
  prepare(
    db,
    `SELECT hash, role, owner, created_by, max(expires) AS expires, login FROM invite WHERE login = ? AND expires > ?
     GROUP BY owner ORDER BY owner LIMIT ${MOST_OWNERS}`,
  ).all(loginKey(login), now) as Row[];

const inviteOf = ({ hash, role, expires, login }: Row): Invite => ({
  ...{ hash: bytes(hash), role, expires },
  ...(login !== null && { login }),
});

/** @throws Failure `access.bad-invite`, `fabric.person-exists` */
export function acceptInvite(db: Database, at: number, hash: Uint8Array, person: NewPerson): Person {
  const row = findRow(db, hash, at);
  if (row === undefined) {
    throw new Failure('access.bad-invite', 'operator', 'the invite was used meanwhile, or has expired', {
      action: 'Ask for a new one ("enf-fabric console invite").',
    });
  }
  const added = addPerson(db, at, { ...person, role: row.role, owner: row.owner, createdBy: row.created_by });
  prepare(db, 'DELETE FROM invite WHERE hash = ?').run(hash);
  if (person.account !== undefined) bindAccount(db, at, added.id, person.account);
  return added;
}

/** See `People`; the caller's transaction makes one of it. @throws Failure `fabric.person-exists` */
export function personByAccount(
  db: Database,
  { at, actor }: Act,
  account: Account,
  { names, newcomer }: Entry,
): Person | undefined {
  const owner = accountOwner(db, account);
  const known = owner === undefined ? undefined : findPerson(db, EVERYTHING, owner);
  if (known !== undefined) return known;
  const [invite, ...others] = findInvitesFor(db, account.login, at);
  // Whoever was removed does not come back with its domain, nor by an account that it had given up before.
  if (invite === undefined && (newcomer === undefined || wasLinked(db, account))) return undefined;
  const name = names.find((each) => findPerson(db, EVERYTHING, each) === undefined) ?? names[0]!;
  if (invite !== undefined) {
    const { id } = acceptInvite(db, at, invite.hash, { name, account });
    // Whoever runs the host is nothing at an owner.
    if (invite.owner !== HOST)
      for (const { owner, role, created_by } of others)
        setMembership(db, { at, actor: created_by }, { person: id, owner, role });
    // Nor does it come back by another one once it was removed.
    prepare(db, 'DELETE FROM invite WHERE login = ?').run(loginKey(account.login));
    return findPerson(db, EVERYTHING, id);
  }
  const added = addPerson(db, at, { name, role: newcomer!, owner: DEFAULT_OWNER, createdBy: actor });
  bindAccount(db, at, added.id, account);
  return added;
}

const findRow = (db: Database, hash: Uint8Array, now: number): Row | undefined =>
  prepare(db, 'SELECT * FROM invite WHERE hash = ? AND expires > ?').get(hash, now) as Row | undefined;
