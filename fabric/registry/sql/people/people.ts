import { Failure } from '../../../../protocol/failure.ts';
import { mayGive, permissionsOf, ROLES, type Role } from '../../../access/roles.ts';
import { DEFAULT_OWNER, EVERYTHING, HOST, type Scope } from '../../../access/scope.ts';
import { type Page, type PageRequest, pageOf, parseNumberCursor } from '../../pages.ts';
import { type NewPerson, nameKey, type Person, personActor, type SignIn } from '../../people.ts';
import type { Act } from '../../records.ts';
import { inScope } from '../base/owned.ts';
import { type Database, prepare } from '../base/statements.ts';
import { appendAudit } from '../trail/audit.ts';
import { membershipsOf, ofOwner, ownerOfPerson } from './owners.ts';
import { revokeTokensOf } from './tokens.ts';

interface Row {
  id: number;
  name: string;
  role: Role | null;
  generation: number;
  created_by: string;
  created: number;
  signed_in: number | null;
  removed: number | null;
  passkeys: number;
  password: string | null;
}

const PASSKEYS = '(SELECT count(*) FROM passkey WHERE passkey.person = person.id) AS passkeys';
/** All people; whoever is of several owners in the role at the first one. */
const ALL = `SELECT id, name, generation, created_by, created, signed_in, removed, password, ${PASSKEYS},
  CASE WHEN host = 1 THEN 'host' ELSE (SELECT role FROM membership WHERE membership.person = person.id ORDER BY owner LIMIT 1) END AS role
  FROM person`;
/** Those of owners: who has brought in somebody elsewhere is not told. */
const OWN = `SELECT id, name, generation, membership.created_by, membership.created, signed_in, removed, password, ${PASSKEYS}, role
  FROM membership JOIN person ON person.id = membership.person`;

const selectIn = ({ everything }: Scope): string => (everything ? ALL : OWN);

function personOf(
  db: Database,
  scope: Scope,
  { created_by: createdBy, signed_in: signedIn, removed, password, role, ...rest }: Row,
): Person {
  const owners = membershipsOf(db, rest.id);
  return {
    ...rest,
    role: role ?? 'auditor',
    owners: scope.everything ? owners : owners.filter(({ owner }) => owner === scope.owner),
    createdBy,
    hasPassword: password !== null,
    ...(signedIn === null ? {} : { signedIn }),
    ...(removed === null ? {} : { removed }),
  };
}

/** A page of people, oldest first. */
export function listPeople(db: Database, scope: Scope, page: PageRequest): Page<Person> {
  const after = parseNumberCursor('people', page.after) ?? 0;
  const own = inScope(scope, 'membership.owner');
  const rows = prepare(
    db,
    `${selectIn(scope)} WHERE ${own.sql} AND person.id > ? ORDER BY person.id LIMIT ?`,
  ).all(...own.values, after, page.limit + 1) as Row[];
  const { rows: shown, next } = pageOf('people', page, rows, (row) => row.id);
  return { rows: shown.map((row) => personOf(db, scope, row)), next };
}

/** By number or by name, if not removed. */
export function findPerson(db: Database, scope: Scope, who: number | string): Person | undefined {
  const row = findRow(db, scope, who);
  return row === undefined ? undefined : personOf(db, scope, row);
}

/** @throws Failure `fabric.unknown-person` */
export function requirePerson(db: Database, scope: Scope, who: number | string): Person {
  const person = findPerson(db, scope, who);
  if (person !== undefined) return person;
  throw new Failure('fabric.unknown-person', 'operator', `there is no person ${JSON.stringify(who)}`, {
    action: 'See "enf-fabric person list".',
  });
}

/** The person of that name, and the hash of its password, if it has one. */
export function passwordOf(db: Database, name: string): { person: Person; password?: string } | undefined {
  const row = findRow(db, EVERYTHING, name);
  if (row === undefined) return undefined;
  return {
    person: personOf(db, EVERYTHING, row),
    ...(row.password !== null && { password: row.password }),
  };
}

function findRow(db: Database, scope: Scope, who: number | string): Row | undefined {
  const own = inScope(scope, 'membership.owner');
  const [column, value] = typeof who === 'number' ? ['person.id', who] : ['key', nameKey(who)];
  return prepare(db, `${selectIn(scope)} WHERE ${column} = ? AND removed IS NULL AND ${own.sql}`).get(
    value,
    ...own.values,
  ) as Row | undefined;
}

/** @throws Failure `fabric.person-exists` */
export function addPerson(
  db: Database,
  at: number,
  {
    name,
    role,
    owner,
    password,
    createdBy,
  }: Pick<Person, 'name' | 'role' | 'createdBy'> & NewPerson & { readonly owner: number },
): Person {
  if (findRow(db, EVERYTHING, name) !== undefined) {
    throw new Failure('fabric.person-exists', 'operator', 'there is a person of that name already', {
      action: 'Choose another name.',
    });
  }
  const isHost = role === 'host';
  const id = prepare(
    db,
    'INSERT INTO person (name, key, host, password, created_by, created) VALUES (?, ?, ?, ?, ?, ?) RETURNING id',
  )
    .pluck()
    .get(name, nameKey(name), isHost ? 1 : 0, password ?? null, createdBy, at) as number;
  if (!isHost) join(db, { at, actor: createdBy }, { person: id, owner, role });
  const person = requirePerson(db, EVERYTHING, id);
  const detail = { name, role, invitedBy: createdBy };
  appendAudit(db, {
    at,
    actor: personActor(person),
    owner: ownerOfPerson(db, id),
    action: 'person.create',
    subject: subjectOf(person),
    detail,
  });
  return person;
}

function join(
  db: Database,
  { at, actor }: Act,
  { person, owner, role }: { person: number; owner: number; role: Role },
): void {
  prepare(
    db,
    `INSERT INTO membership (person, owner, role, created_by, created) VALUES (?, ?, ?, ?, ?)
     ON CONFLICT (person, owner) DO UPDATE SET role = excluded.role`,
  ).run(person, owner, role, actor, at);
}

/**
 * Changes a role, and revokes the tokens that may more than it.
 * @throws Failure `fabric.unknown-person`, `fabric.last-owner`, `fabric.several-owners`
 */
export function setRole(db: Database, scope: Scope, act: Act, id: number, role: Role): boolean {
  const person = requirePerson(db, scope, id);
  const owner = role === 'host' ? HOST : whichOwner(person, scope);
  const before =
    owner === HOST ? person.role : (person.owners.find((each) => each.owner === owner)?.role ?? 'host');
  if (before === role) return false;
  if (!OWNING.includes(role)) requireAnotherOwner(db, person, owner);
  prepare(db, 'UPDATE person SET host = ?, generation = generation + 1 WHERE id = ?').run(
    role === 'host' ? 1 : 0,
    id,
  );
  if (role === 'host') prepare(db, 'DELETE FROM membership WHERE person = ?').run(id);
  else join(db, act, { person: id, owner, role });
  const still = ROLES.filter((each) => mayGive(role, each));
  const revoked =
    revokeTokensOf(db, act.at, id, { still, ...(role !== 'host' && { owner }) }) +
    (role === 'host' ? 0 : revokeTokensOf(db, act.at, id, { owner: HOST }));
  const detail = {
    name: person.name,
    from: before,
    to: role,
    ...ofOwner(db, owner),
    ...(revoked > 0 && { tokensRevoked: revoked }),
  };
  appendAudit(db, { ...act, owner, action: 'person.role', subject: subjectOf(person), detail });
  return true;
}

/** At which owner a role is changed: that of the scope, or the only one of the person. */
function whichOwner({ owners, name }: Person, scope: Scope): number {
  if (!scope.everything) return scope.owner;
  if (owners.length > 1) {
    throw new Failure('fabric.several-owners', 'operator', `${name} is of several owners`, {
      action: 'Say at which one: "enf-fabric owner member OWNER PERSON ROLE".',
    });
  }
  return owners[0]?.owner ?? (scope.owner === HOST ? DEFAULT_OWNER : scope.owner);
}

/** Makes a person something at an owner, or nothing any more. False if it was that already. @throws Failure `fabric.unknown-person`, `fabric.last-owner` */
export function setMembership(
  db: Database,
  act: Act,
  { person: id, owner, role }: { person: number; owner: number; role: Role | undefined },
): boolean {
  const person = requirePerson(db, EVERYTHING, id);
  const before = person.owners.find((each) => each.owner === owner)?.role;
  if (before === role) return false;
  if (role === undefined) leave(db, act, person, owner);
  else {
    if (!OWNING.includes(role)) requireAnotherOwner(db, person, owner);
    join(db, act, { person: id, owner, role });
    prepare(db, 'UPDATE person SET generation = generation + 1 WHERE id = ?').run(id);
    revokeTokensOf(db, act.at, id, { still: ROLES.filter((each) => mayGive(role, each)), owner });
    const detail = { name: person.name, from: before ?? null, to: role, ...ofOwner(db, owner) };
    appendAudit(db, { ...act, owner, action: 'person.role', subject: subjectOf(person), detail });
  }
  return true;
}

/** Removes a person, whose tokens end, too. @throws Failure `fabric.unknown-person`, `fabric.last-owner` */
export function removePerson(db: Database, scope: Scope, act: Act, id: number): void {
  const person = requirePerson(db, scope, id);
  const all = membershipsOf(db, id);
  if (!scope.everything && all.length > 1) {
    leave(db, act, person, scope.owner);
    return;
  }
  for (const { owner } of all) requireAnotherOwner(db, person, owner);
  if (all.length === 0) requireAnotherOwner(db, person, HOST);
  const owner = ownerOfPerson(db, id);
  prepare(db, 'UPDATE person SET removed = ?, password = NULL, generation = generation + 1 WHERE id = ?').run(
    act.at,
    id,
  );
  prepare(db, 'DELETE FROM passkey WHERE person = ?').run(id);
  prepare(db, 'DELETE FROM recovery_code WHERE person = ?').run(id);
  const revoked = revokeTokensOf(db, act.at, id);
  const detail = { name: person.name, role: person.role, ...(revoked > 0 && { tokensRevoked: revoked }) };
  appendAudit(db, { ...act, owner, action: 'person.remove', subject: subjectOf(person), detail });
}

/** The person is of this owner no more, and still of others. */
function leave(db: Database, act: Act, person: Person, owner: number): void {
  requireAnotherOwner(db, person, owner);
  const { id, name } = person;
  const role = person.owners.find((each) => each.owner === owner)?.role ?? person.role;
  prepare(db, 'DELETE FROM membership WHERE person = ? AND owner = ?').run(id, owner);
  prepare(db, 'UPDATE person SET generation = generation + 1 WHERE id = ?').run(id);
  const revoked = revokeTokensOf(db, act.at, id, { owner });
  const detail = { name, role, ...ofOwner(db, owner), ...(revoked > 0 && { tokensRevoked: revoked }) };
  appendAudit(db, { ...act, owner, action: 'person.remove', subject: subjectOf(person), detail });
}

/** The roles that may change people: without one of those nobody could be let in any more. */
const OWNING: readonly Role[] = ROLES.filter((role) => permissionsOf(role).includes('people.write'));

/** Somebody else may change the people of this owner: one of its own, or of the host. */
function requireAnotherOwner(db: Database, { id, role, owners, name }: Person, owner: number): void {
  const now = role === 'host' ? role : owners.find((each) => each.owner === owner)?.role;
  if (now === undefined || !OWNING.includes(now)) return;
  const marks = OWNING.map(() => '?').join(', ');
  const others = prepare(
    db,
    `SELECT count(*) FROM person WHERE removed IS NULL AND id <> ? AND (host = 1 OR id IN
       (SELECT person FROM membership WHERE owner = CASE WHEN ? = ${HOST} THEN owner ELSE ? END AND role IN (${marks})))`,
  ).pluck();
  if ((others.get(id, owner, owner, ...OWNING) as number) > 0) return;
  throw new Failure('fabric.last-owner', 'operator', `${name} is the last person who may change people`, {
    action: 'Give somebody else the role of an owner first.',
  });
}

/** @throws Failure `fabric.unknown-person` */
export function setPassword(db: Database, { at, actor }: Act, id: number, password: string): Person {
  const person = requirePerson(db, EVERYTHING, id);
  prepare(db, 'UPDATE person SET password = ?, generation = generation + 1 WHERE id = ?').run(password, id);
  const owner = ownerOfPerson(db, id);
  appendAudit(db, { at, actor, owner, action: 'person.password', subject: subjectOf(person) });
  return requirePerson(db, EVERYTHING, id);
}

/** @throws Failure `fabric.unknown-person` */
export function endSessions(db: Database, { at, actor }: Act, id: number): void {
  const person = requirePerson(db, EVERYTHING, id);
  prepare(db, 'UPDATE person SET generation = generation + 1 WHERE id = ?').run(id);
  const owner = ownerOfPerson(db, id);
  appendAudit(db, { at, actor, owner, action: 'person.signout', subject: subjectOf(person) });
}

/** @throws Failure `fabric.unknown-person` */
export function signedIn(db: Database, at: number, id: number, { via, from }: SignIn): Person {
  prepare(db, 'UPDATE person SET signed_in = ? WHERE id = ? AND removed IS NULL').run(at, id);
  const person = requirePerson(db, EVERYTHING, id);
  const actor = personActor(person);
  const owner = ownerOfPerson(db, id);
  appendAudit(db, { at, actor, owner, action: 'signin', subject: subjectOf(person), detail: { via, from } });
  return person;
}

export function signInFailed(db: Database, { at, actor }: Act, id: number | undefined, from: string): void {
  const subject = id === undefined ? 'nobody' : subjectOf({ id });
  const owner = id === undefined ? HOST : ownerOfPerson(db, id);
  appendAudit(db, { at, actor, owner, action: 'signin.failed', subject, detail: { from } });
}

/** A person as subject in the audit trail. */
export const subjectOf = ({ id }: Pick<Person, 'id'>): string => `person ${id}`;
