import type { Scope } from '../../access/scope.ts';
import type { IssuedCertificate, IssuedFilter } from '../issuing.ts';
import { type Page, type PageRequest, pageOf, parseNumberCursor } from '../pages.ts';
import { inScope } from './base/owned.ts';
import { bytes, type Database, prepare } from './base/statements.ts';
import type { IssuedRow } from './pki-issue.ts';

/** Certificates that the fabric has issued, as they are listed. */

interface ListedRow extends IssuedRow {
  owner_name: string;
  revoked_at: number | null;
  reason: string | null;
}

const LISTED = `SELECT issued.*, owner.name AS owner_name, revoked_certificate.at AS revoked_at, reason
  FROM issued JOIN owner ON owner.id = issued.owner LEFT JOIN revoked_certificate
    ON revoked_certificate.anchor = issued.anchor AND issuer = x'' AND revoked_certificate.serial = issued.serial`;

export function listIssued(
  db: Database,
  scope: Scope,
  page: PageRequest,
  { anchor, address }: IssuedFilter = {},
): Page<IssuedCertificate> {
  const before = parseNumberCursor('issued', page.after) ?? Number.MAX_SAFE_INTEGER;
  const own = inScope(scope, 'issued.owner');
  const narrowed = [
    ...(anchor === undefined ? [] : [{ sql: 'issued.anchor = ?', value: anchor }]),
    ...(address === undefined ? [] : [{ sql: 'issued.address = ?', value: address }]),
  ];
  const where = ['issued.id < ?', own.sql, ...narrowed.map(({ sql }) => sql)].join(' AND ');
  const rows = prepare(db, `${LISTED} WHERE ${where} ORDER BY issued.id DESC LIMIT ?`).all(
    before,
    ...own.values,
    ...narrowed.map(({ value }) => value),
    page.limit + 1,
  ) as ListedRow[];
  const { rows: shown, next } = pageOf('issued', page, rows, ({ id }) => id);
  return { rows: shown.map(issuedOf), next };
}

const issuedOf = (row: ListedRow): IssuedCertificate => ({
  serial: bytes(row.serial),
  ...(row.parent_serial !== null && { parent: bytes(row.parent_serial) }),
  anchor: row.anchor,
  owner: row.owner_name,
  address: bytes(row.address),
  ...(row.code !== null && { code: row.code }),
  spki: bytes(row.spki),
  created: row.created,
  notAfter: row.not_after,
  ...(row.revoked_at !== null && { revoked: { at: row.revoked_at, reason: row.reason! } }),
});
