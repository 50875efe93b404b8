import type { Database } from 'better-sqlite3';
import { type Page, type PageRequest, pageOf, parseNumberCursor } from '../pages.ts';
import type { Handshake } from '../records.ts';
import { bytes } from './database.ts';
import { prepare } from './statements.ts';

/** Appends a handshake to the history. */
export function recordHandshake(db: Database, row: Handshake): void {
  prepare(
    db,
    `INSERT INTO handshake (at, source, suite, gid, pseudonym, proven, result, address)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?)`,
  ).run(
    row.at,
    row.source,
    row.suite ?? null,
    row.gid ?? null,
    row.pseudonym ?? null,
    row.proven ? 1 : 0,
    row.result,
    row.address ?? null,
  );
}

interface Row {
  id: number;
  at: number;
  source: string;
  suite: number | null;
  gid: Uint8Array | null;
  pseudonym: Uint8Array | null;
  proven: number;
  result: string;
  address: Uint8Array | null;
}

const handshake = (row: Row): Handshake => ({
  at: row.at,
  source: row.source,
  ...(row.suite === null ? {} : { suite: row.suite }),
  ...(row.gid === null ? {} : { gid: bytes(row.gid) }),
  ...(row.pseudonym === null ? {} : { pseudonym: bytes(row.pseudonym) }),
  proven: row.proven === 1,
  result: row.result,
  ...(row.address === null ? {} : { address: bytes(row.address) }),
});

/** A page of handshakes, newest first: of one chip, or of all. */
export function listHandshakes(
  db: Database,
  page: PageRequest,
  member?: { gid: Uint8Array; pseudonym: Uint8Array },
): Page<Handshake> {
  const before = parseNumberCursor('handshakes', page.after) ?? Number.MAX_SAFE_INTEGER;
  const newest = 'id < ? ORDER BY id DESC LIMIT ?';
  const rows = (
    member === undefined
      ? prepare(db, `SELECT * FROM handshake WHERE ${newest}`).all(before, page.limit + 1)
      : prepare(db, `SELECT * FROM handshake WHERE gid = ? AND pseudonym = ? AND ${newest}`).all(
          member.gid,
          member.pseudonym,
          before,
          page.limit + 1,
        )
  ) as Row[];
  const { rows: shown, next } = pageOf('handshakes', page, rows, (row) => row.id);
  return { rows: shown.map(handshake), next };
}

/** How often old refusals are looked for: once in so many new ones. */
const TIDY_EVERY = 1_000;

/** Appends refusals, and forgets the oldest ones that prove nothing beyond the newest `kept` handshakes. */
export function refusalLog(db: Database, kept: number): { append(row: Handshake): void } {
  let appended = 0;
  return {
    append(row) {
      recordHandshake(db, row);
      if (appended++ % TIDY_EVERY === 0) forgetOldRefusals(db, kept);
    },
  };
}

/**
 * Forgets the unproven refusals older than the newest `kept` handshakes. Anybody can cause any number of those; what a
 * proven member of a group did stays.
 */
function forgetOldRefusals(db: Database, kept: number): void {
  prepare(db, 'DELETE FROM handshake WHERE proven = 0 AND id <= (SELECT max(id) FROM handshake) - ?').run(
    kept,
  );
}
