import { Failure } from '../../../../protocol/failure.ts';
import type { Role } from '../../../access/roles.ts';
import { DEFAULT_OWNER, HOST, type Scope } from '../../../access/scope.ts';
import { type Page, type PageRequest, pageOf, parseNumberCursor } from '../../pages.ts';
import type { Act } from '../../records.ts';
import type { NewToken, Token, UsableToken } from '../../tokens.ts';
import { inScope } from '../base/owned.ts';
import { type Database, prepare } from '../base/statements.ts';
import { appendAudit } from '../trail/audit.ts';
import { requireActive } from './owners.ts';

interface Row {
  id: number;
  name: string;
  role: Role;
  owner: number;
  created_by: string;
  person: number | null;
  created: number;
  expires: number;
  revoked: number | null;
  used: number | null;
}

const COLUMNS = 'id, name, role, owner, created_by, person, created, expires, revoked, used';

function tokenOf({ created_by: createdBy, person, revoked, used, ...rest }: Row): Token {
  return {
    ...rest,
    createdBy,
    ...(person === null ? {} : { person }),
    ...(revoked === null ? {} : { revoked }),
    ...(used === null ? {} : { used }),
  };
}

/** @throws Failure `fabric.unknown-owner` if the owner is closed */
export function addToken(
  db: Database,
  scope: Scope,
  { at, actor }: Act,
  { hash, name, role, expires, person }: NewToken,
): Token {
  const owner = ownerFor(scope, role);
  if (owner !== HOST) requireActive(db, owner);
  const row = prepare(
    db,
    `INSERT INTO token (hash, name, role, created_by, person, created, expires, owner) VALUES (?, ?, ?, ?, ?, ?, ?, ?) RETURNING ${COLUMNS}`,
  ).get(hash, name, role, actor, person ?? null, at, expires, owner) as Row;
  const detail = { name, role, expires };
  appendAudit(db, { at, actor, owner, action: 'token.create', subject: `token ${row.id}`, detail });
  return tokenOf(row);
}

/** @throws Failure `fabric.unknown-token` */
export function revokeToken(db: Database, scope: Scope, { at, actor }: Act, id: number): boolean {
  const own = inScope(scope);
  const row = prepare(db, `SELECT ${COLUMNS} FROM token WHERE id = ? AND ${own.sql}`).get(
    id,
    ...own.values,
  ) as Row | undefined;
  if (row === undefined) {
    throw new Failure('fabric.unknown-token', 'operator', `there is no token ${id}`, {
      action: 'See "enf-fabric token list".',
    });
  }
  if (row.revoked !== null) return false;
  prepare(db, 'UPDATE token SET revoked = ? WHERE id = ?').run(at, id);
  appendAudit(db, {
    at,
    actor,
    owner: row.owner,
    action: 'token.revoke',
    subject: `token ${id}`,
    detail: { name: row.name },
  });
  return true;
}

/** Revokes the tokens of a person, at one owner if that is given, but for those in one of the roles that it may still give. Returns how many. */
export function revokeTokensOf(
  db: Database,
  at: number,
  person: number,
  { still = [], owner }: { readonly still?: readonly Role[]; readonly owner?: number } = {},
): number {
  const others = still.map(() => ' AND role <> ?').join('');
  return prepare(
    db,
    `UPDATE token SET revoked = ? WHERE person = ? AND revoked IS NULL${others} AND owner = coalesce(?, owner)`,
  ).run(at, person, ...still, owner ?? null).changes;
}

/** Whose a token or an invite in this role is: the host's own ones are the host's, others that it makes the first owner's. */
export const ownerFor = ({ owner }: Scope, role: Role): number =>
  role === 'host' ? HOST : owner === HOST ? DEFAULT_OWNER : owner;

/** A page of tokens, oldest first. */
export function listTokens(db: Database, scope: Scope, page: PageRequest): Page<Token> {
  const own = inScope(scope);
  const after = parseNumberCursor('tokens', page.after) ?? 0;
  const rows = prepare(
    db,
    `SELECT ${COLUMNS} FROM token WHERE ${own.sql} AND id > ? ORDER BY id LIMIT ?`,
  ).all(...own.values, after, page.limit + 1) as Row[];
  const { rows: shown, next } = pageOf('tokens', page, rows, (row) => row.id);
  return { rows: shown.map(tokenOf), next };
}

/** The token with this hash that is neither expired nor revoked at `now`, and for whom it acts: each request asks, so it is one statement. */
export function findToken(db: Database, hash: Uint8Array, now: number): UsableToken | undefined {
  const row = prepare(
    db,
    `SELECT ${COLUMNS}, (SELECT count(*) FROM (SELECT 1 FROM owner LIMIT 2) AS few) AS owners,
       (SELECT owner.name FROM owner WHERE owner.id = token.owner AND owner.status = 'active') AS owner_name
     FROM token WHERE hash = ? AND revoked IS NULL AND expires > ?`,
  ).get(hash, now) as (Row & { owners: number; owner_name: string | null }) | undefined;
  if (row === undefined) return undefined;
  const { owners, owner_name: ownerName, ...token } = row;
  return { ...tokenOf(token), isOfOnlyOwner: owners === 1, ...(ownerName !== null && { ownerName }) };
}

export function markUsed(db: Database, id: number, now: number): void {
  prepare(db, 'UPDATE token SET used = ? WHERE id = ?').run(now, id);
}
