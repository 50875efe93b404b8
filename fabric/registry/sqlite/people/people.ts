import type { Database } from 'better-sqlite3';
import { Failure } from '../../../../protocol/failure.ts';
import { mayGive, permissionsOf, ROLES, type Role } from '../../../access/roles.ts';
import { type Page, type PageRequest, pageOf, parseNumberCursor } from '../../pages.ts';
import { type NewPerson, nameKey, type Person, personActor, type SignIn } from '../../people.ts';
import type { Act } from '../../records.ts';
import { prepare } from '../file/statements.ts';
import { appendAudit } from '../trail/audit.ts';
import { revokeTokensOf } from './tokens.ts';

interface Row {
  id: number;
  name: string;
  role: Role;
  generation: number;
  created_by: string;
  created: number;
  signed_in: number | null;
  removed: number | null;
  passkeys: number;
  password: string | null;
}

const SELECT = `SELECT id, name, role, generation, created_by, created, signed_in, removed, password,
  (SELECT count(*) FROM passkey WHERE passkey.person = person.id) AS passkeys FROM person`;

function personOf({ created_by: createdBy, signed_in: signedIn, removed, password, ...rest }: Row): Person {
  return {
    ...rest,
    createdBy,
    hasPassword: password !== null,
    ...(signedIn === null ? {} : { signedIn }),
    ...(removed === null ? {} : { removed }),
  };
}

/** A page of people, oldest first. */
export function listPeople(db: Database, page: PageRequest): Page<Person> {
  const after = parseNumberCursor('people', page.after) ?? 0;
  const rows = prepare(db, `${SELECT} WHERE id > ? ORDER BY id LIMIT ?`).all(after, page.limit + 1) as Row[];
  const { rows: shown, next } = pageOf('people', page, rows, (row) => row.id);
  return { rows: shown.map(personOf), next };
}

/** By number or by name, if not removed. */
export function findPerson(db: Database, who: number | string): Person | undefined {
  const row = findRow(db, who);
  return row === undefined ? undefined : personOf(row);
}

/** @throws Failure `fabric.unknown-person` */
export function requirePerson(db: Database, who: number | string): Person {
  const person = findPerson(db, who);
  if (person !== undefined) return person;
  throw new Failure('fabric.unknown-person', 'operator', `there is no person ${JSON.stringify(who)}`, {
    action: 'See "enf-fabric person list".',
  });
}

/** The person of that name, and the hash of its password, if it has one. */
export function passwordOf(db: Database, name: string): { person: Person; password?: string } | undefined {
  const row = findRow(db, name);
  if (row === undefined) return undefined;
  return { person: personOf(row), ...(row.password !== null && { password: row.password }) };
}

function findRow(db: Database, who: number | string): Row | undefined {
  return (
    typeof who === 'number'
      ? prepare(db, `${SELECT} WHERE id = ? AND removed IS NULL`).get(who)
      : prepare(db, `${SELECT} WHERE key = ? AND removed IS NULL`).get(nameKey(who))
  ) as Row | undefined;
}

/** @throws Failure `fabric.person-exists` */
export function addPerson(
  db: Database,
  at: number,
  { name, role, password, createdBy }: Pick<Person, 'name' | 'role' | 'createdBy'> & NewPerson,
): Person {
  if (findRow(db, name) !== undefined) {
    throw new Failure('fabric.person-exists', 'operator', 'there is a person of that name already', {
      action: 'Choose another name.',
    });
  }
  const { lastInsertRowid } = prepare(
    db,
    'INSERT INTO person (name, key, role, password, created_by, created) VALUES (?, ?, ?, ?, ?, ?)',
  ).run(name, nameKey(name), role, password ?? null, createdBy, at);
  const person = requirePerson(db, Number(lastInsertRowid));
  const detail = { name, role, invitedBy: createdBy };
  appendAudit(db, {
    at,
    actor: personActor(person),
    action: 'person.create',
    subject: subjectOf(person),
    detail,
  });
  return person;
}

/** Changes a role, and revokes the tokens that may more than it. @throws Failure `fabric.unknown-person`, `fabric.last-owner` */
export function setRole(db: Database, { at, actor }: Act, id: number, role: Role): boolean {
  const person = requirePerson(db, id);
  if (person.role === role) return false;
  if (!OWNING.includes(role)) requireAnotherOwner(db, person);
  prepare(db, 'UPDATE person SET role = ?, generation = generation + 1 WHERE id = ?').run(role, id);
  const still = ROLES.filter((each) => mayGive(role, each));
  const revoked = revokeTokensOf(db, at, id, still);
  const detail = {
    name: person.name,
    from: person.role,
    to: role,
    ...(revoked > 0 && { tokensRevoked: revoked }),
  };
  appendAudit(db, { at, actor, action: 'person.role', subject: subjectOf(person), detail });
  return true;
}

/** Removes a person, whose tokens end, too. @throws Failure `fabric.unknown-person`, `fabric.last-owner` */
export function removePerson(db: Database, { at, actor }: Act, id: number): void {
  const person = requirePerson(db, id);
  requireAnotherOwner(db, person);
  prepare(db, 'UPDATE person SET removed = ?, password = NULL, generation = generation + 1 WHERE id = ?').run(
    at,
    id,
  );
  prepare(db, 'DELETE FROM passkey WHERE person = ?').run(id);
  prepare(db, 'DELETE FROM recovery_code WHERE person = ?').run(id);
  const revoked = revokeTokensOf(db, at, id, []);
  const detail = { name: person.name, role: person.role, ...(revoked > 0 && { tokensRevoked: revoked }) };
  appendAudit(db, { at, actor, action: 'person.remove', subject: subjectOf(person), detail });
}

/** The roles that may change people: without one of those nobody could be let in any more. */
const OWNING: readonly Role[] = ROLES.filter((role) => permissionsOf(role).includes('people.write'));

function requireAnotherOwner(db: Database, { id, role, name }: Person): void {
  if (!OWNING.includes(role)) return;
  const marks = OWNING.map(() => '?').join(', ');
  const others = prepare(
    db,
    `SELECT count(*) AS others FROM person WHERE removed IS NULL AND id <> ? AND role IN (${marks})`,
  ).get(id, ...OWNING) as { others: number };
  if (others.others > 0) return;
  throw new Failure('fabric.last-owner', 'operator', `${name} is the last person who may change people`, {
    action: 'Give somebody else the role of an owner first.',
  });
}

/** @throws Failure `fabric.unknown-person` */
export function setPassword(db: Database, { at, actor }: Act, id: number, password: string): Person {
  const person = requirePerson(db, id);
  prepare(db, 'UPDATE person SET password = ?, generation = generation + 1 WHERE id = ?').run(password, id);
  appendAudit(db, { at, actor, action: 'person.password', subject: subjectOf(person) });
  return requirePerson(db, id);
}

/** @throws Failure `fabric.unknown-person` */
export function endSessions(db: Database, { at, actor }: Act, id: number): void {
  const person = requirePerson(db, id);
  prepare(db, 'UPDATE person SET generation = generation + 1 WHERE id = ?').run(id);
  appendAudit(db, { at, actor, action: 'person.signout', subject: subjectOf(person) });
}

/** @throws Failure `fabric.unknown-person` */
export function signedIn(db: Database, at: number, id: number, { via, from }: SignIn): Person {
  prepare(db, 'UPDATE person SET signed_in = ? WHERE id = ? AND removed IS NULL').run(at, id);
  const person = requirePerson(db, id);
  const actor = personActor(person);
  appendAudit(db, { at, actor, action: 'signin', subject: subjectOf(person), detail: { via, from } });
  return person;
}

export function signInFailed(db: Database, { at, actor }: Act, id: number | undefined, from: string): void {
  const subject = id === undefined ? 'nobody' : subjectOf({ id });
  appendAudit(db, { at, actor, action: 'signin.failed', subject, detail: { from } });
}

/** A person as subject in the audit trail. */
export const subjectOf = ({ id }: Pick<Person, 'id'>): string => `person ${id}`;
