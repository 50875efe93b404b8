import type { Database } from 'better-sqlite3';
import { type Page, type PageRequest, pageOf, parseNumberCursor } from '../pages.ts';
import type { Handshake } from '../records.ts';
import { bytes } from './file/database.ts';
import { prepare } from './file/statements.ts';
import { countHandshakes, trimMember, trimUnproven } from './history.ts';

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

/** Appends refusals, and keeps those that prove nothing only among the newest `kept` handshakes: anybody can cause any number of them. */
export function refusalLog(db: Database, kept: number): { append(row: Handshake, unlisted: number): void } {
  let appended = 0;
  return {
    append(row, unlisted) {
      recordHandshake(db, row);
      const { gid, pseudonym } = row;
      if (gid !== undefined && pseudonym !== undefined) trimMember(db, row.at, { gid, pseudonym });
      if (unlisted > 0) countHandshakes(db, { ...row, times: unlisted }, provenMember(row));
      if (appended++ % TIDY_EVERY === 0) trimUnproven(db, row.at, kept);
    },
  };
}

function provenMember({ proven, gid, pseudonym }: Handshake) {
  return proven && gid !== undefined && pseudonym !== undefined ? { gid, pseudonym } : undefined;
}
