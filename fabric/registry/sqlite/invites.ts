import type { Database } from 'better-sqlite3';
import { Failure } from '../../../protocol/failure.ts';
import type { Role } from '../../access/roles.ts';
import type { Invite, Person } from '../people.ts';
import type { Act } from '../records.ts';
import { appendAudit } from './audit.ts';
import { bytes } from './file/database.ts';
import { prepare } from './file/statements.ts';
import { addPerson } from './people.ts';

interface Row {
  hash: Uint8Array;
  role: Role;
  created_by: string;
  expires: number;
}

/** Adds an invite, and forgets those that have expired. */
export function addInvite(db: Database, { at, actor }: Act, { hash, role, expires }: Invite): void {
  prepare(db, 'DELETE FROM invite WHERE expires <= ?').run(at);
  prepare(db, 'INSERT INTO invite (hash, role, created_by, expires) VALUES (?, ?, ?, ?)').run(
    hash,
    role,
    actor,
    expires,
  );
  appendAudit(db, { at, actor, action: 'person.invite', subject: role, detail: { role, expires } });
}

/** The invite with this hash that has not expired at `now`. */
export function findInvite(db: Database, hash: Uint8Array, now: number): Invite | undefined {
  const row = findRow(db, hash, now);
  return row === undefined ? undefined : { hash: bytes(row.hash), role: row.role, expires: row.expires };
}

/** @throws Failure `access.bad-invite`, `fabric.person-exists` */
export function acceptInvite(
  db: Database,
  at: number,
  hash: Uint8Array,
  { name, password }: { readonly name: string; readonly password: string },
): Person {
  const row = findRow(db, hash, at);
  if (row === undefined) {
    throw new Failure('access.bad-invite', 'operator', 'the invite was used meanwhile, or has expired', {
      action: 'Ask for a new one ("enf-fabric console invite").',
    });
  }
  const person = addPerson(db, at, { name, role: row.role, password, createdBy: row.created_by });
  prepare(db, 'DELETE FROM invite WHERE hash = ?').run(hash);
  return person;
}

const findRow = (db: Database, hash: Uint8Array, now: number): Row | undefined =>
  prepare(db, 'SELECT * FROM invite WHERE hash = ? AND expires > ?').get(hash, now) as Row | undefined;
