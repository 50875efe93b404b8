import type { Database } from 'better-sqlite3';
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

/** The newest `limit` handshakes, newest first: of one chip, or of all. */
export function listHandshakes(
  db: Database,
  limit: number,
  member?: { gid: Uint8Array; pseudonym: Uint8Array },
): Handshake[] {
  interface HandshakeRow {
    at: number;
    source: string;
    suite: number | null;
    gid: Uint8Array | null;
    pseudonym: Uint8Array | null;
    proven: number;
    result: string;
    address: Uint8Array | null;
  }
  const rows = (
    member === undefined
      ? prepare(db, 'SELECT * FROM handshake ORDER BY id DESC LIMIT ?').all(limit)
      : prepare(db, 'SELECT * FROM handshake WHERE gid = ? AND pseudonym = ? ORDER BY id DESC LIMIT ?').all(
          member.gid,
          member.pseudonym,
          limit,
        )
  ) as HandshakeRow[];
  return rows.map((row) => ({
    at: row.at,
    source: row.source,
    ...(row.suite === null ? {} : { suite: row.suite }),
    ...(row.gid === null ? {} : { gid: bytes(row.gid) }),
    ...(row.pseudonym === null ? {} : { pseudonym: bytes(row.pseudonym) }),
    proven: row.proven === 1,
    result: row.result,
    ...(row.address === null ? {} : { address: bytes(row.address) }),
  }));
}

/**
 * Forgets the unproven refusals older than the newest `kept` handshakes. Anybody can cause those, without end; what a
 * proven member of a group did stays.
 */
export function forgetOldRefusals(db: Database, kept: number): void {
  prepare(db, 'DELETE FROM handshake WHERE proven = 0 AND id <= (SELECT max(id) FROM handshake) - ?').run(
    kept,
  );
}
