import { fromHex, toHex } from '../../../../protocol/bytes.ts';
import { Failure } from '../../../../protocol/failure.ts';
import type { Role } from '../../../access/roles.ts';
import { DEFAULT_OWNER, EVERYTHING, HOST, type Scope } from '../../../access/scope.ts';
import { MOST_OWNERS } from '../../owners.ts';
import { fittingPage, LOOKED_AT, type Page, type PageRequest, parseCursor } from '../../pages.ts';
import {
  type Account,
  type Entry,
  type Invite,
  loginKey,
  type NewPerson,
  type OpenInvite,
  type Person,
} from '../../people.ts';
import type { Act } from '../../records.ts';
import { inScope } from '../base/owned.ts';
import { bytes, type Database, prepare } from '../base/statements.ts';
import { appendAudit } from '../trail/audit.ts';
import { accountOwner, bindAccount, wasLinked } from './credentials.ts';
import { ofOwner, requireActive } from './owners.ts';
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
  const detail = { role, expires, ...ofOwner(db, owner), ...(login !== undefined && { login }) };
  appendAudit(db, { at, actor, owner, action: 'person.invite', subject: role, detail });
}

/** How the hash of an invite begins by which it is known: as much as nobody meets twice. */
const ID_BYTES = 8;
const ID = /^[0-9a-f]{16}$/;
const COLUMNS = `hash, role, owner, created_by, expires, login,
  (SELECT name FROM owner WHERE owner.id = invite.owner) AS owner_name`;

interface OpenRow extends Row {
  owner_name: string | null;
}

const idOf = ({ hash }: Pick<Row, 'hash'>): string => toHex(bytes(hash).subarray(0, ID_BYTES));

function openInviteOf({ owner_name: name, created_by: createdBy, ...row }: OpenRow): OpenInvite {
  const { role, owner, expires, login } = row;
  return {
    ...{ id: idOf(row), role, owner, createdBy, expires },
    ...(name !== null && { ownerName: name }),
    ...(login !== null && { login }),
  };
}

/** A page of the invites that hold at `now`: there are few, and no index by owner, so that a bounded number is looked at. */
export function listInvites(db: Database, scope: Scope, page: PageRequest, now: number): Page<OpenInvite> {
  const after = page.after === undefined ? undefined : parseCursor('invites', page.after, ID)[0];
  const rows = prepare(db, `SELECT ${COLUMNS} FROM invite WHERE hash > ? ORDER BY hash LIMIT ?`).all(
    after === undefined ? new Uint8Array() : lastOf(after),
    LOOKED_AT,
  ) as OpenRow[];
  const fits = ({ owner, expires }: OpenRow): boolean =>
    expires > now && (scope.everything || owner === scope.owner);
  const { rows: shown, next } = fittingPage('invites', page, rows, { fits, keyOf: idOf });
  return { rows: shown.map(openInviteOf), next };
}

/** The last hash that begins so. */
function lastOf(id: string): Uint8Array {
  const last = new Uint8Array(32).fill(0xff);
  last.set(fromHex(id));
  return last;
}

/** @throws Failure `fabric.unknown-invite` */
export const openInvite = (db: Database, scope: Scope, id: string, now: number): OpenInvite =>
  openInviteOf(requireOpen(db, scope, id, now));

function requireOpen(db: Database, scope: Scope, id: string, now: number): OpenRow {
  const own = inScope(scope);
  const row = ID.test(id)
    ? (prepare(
        db,
        `SELECT ${COLUMNS} FROM invite WHERE hash BETWEEN ? AND ? AND ${own.sql} AND expires > ?`,
      ).get(fromHex(id), lastOf(id), ...own.values, now) as OpenRow | undefined)
    : undefined;
  if (row !== undefined) return row;
  throw new Failure('fabric.unknown-invite', 'operator', 'there is no such invite that is still open', {
    action: 'It was used or withdrawn, or has expired: see "enf-fabric person invites".',
  });
}

/** @throws Failure `fabric.unknown-invite` */
export function withdrawInvite(db: Database, scope: Scope, { at, actor }: Act, id: string): void {
  const { hash, role, owner, expires, login } = requireOpen(db, scope, id, at);
  prepare(db, 'DELETE FROM invite WHERE hash = ?').run(hash);
  const detail = { role, expires, ...ofOwner(db, owner), ...(login !== null && { login }) };
  appendAudit(db, { at, actor, owner, action: 'person.withdraw', subject: role, detail });
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
    `SELECT hash, role, owner, created_by, expires, login FROM invite WHERE login = ? AND expires > ? AND NOT EXISTS
       (SELECT 1 FROM invite AS later WHERE later.login = invite.login AND later.owner = invite.owner
        AND (later.expires > invite.expires OR (later.expires = invite.expires AND later.hash > invite.hash)))
     ORDER BY owner LIMIT ${MOST_OWNERS}`,
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
