import { createHash } from 'node:crypto';
import type { Database } from 'better-sqlite3';
import { equal } from '../../../protocol/bytes.ts';
import { Failure } from '../../../protocol/failure.ts';
import { bytes } from './database.ts';
import { prepare } from './statements.ts';

/** One change of state: who did what to which subject. Secrets never go in. */
export interface AuditEntry {
  readonly seq: number;
  /** Milliseconds since 1970. */
  readonly at: number;
  readonly actor: string;
  /** e.g. `device.ban`. */
  readonly action: string;
  readonly subject: string;
  readonly detail: Readonly<Record<string, unknown>>;
  /** SHA-256(previous hash ‖ canonical row), 32 bytes. */
  readonly hash: Uint8Array;
}

interface Row {
  seq: number;
  at: number;
  actor: string;
  action: string;
  subject: string;
  detail: string;
  hash: Uint8Array;
}

const GENESIS = new Uint8Array(32);

/** SHA-256(previous ‖ JSON array of the row's fields in the order of the table; `detail` as the text stored). */
function chained(previous: Uint8Array, row: Omit<Row, 'hash'>): Uint8Array {
  const canonical = JSON.stringify([row.seq, row.at, row.actor, row.action, row.subject, row.detail]);
  return bytes(createHash('sha256').update(previous).update(canonical, 'utf8').digest());
}

/** Appends an entry; the caller's transaction makes it one with the change it tells of. */
export function appendAudit(
  db: Database,
  entry: { at: number; actor: string; action: string; subject: string; detail?: Record<string, unknown> },
): void {
  const { value: seq } = prepare(
    db,
    "UPDATE counter SET value = value + 1 WHERE name = 'audit' RETURNING value",
  ).get() as { value: number };
  const last = prepare(db, 'SELECT hash FROM audit WHERE seq = ?').get(seq - 1) as
    | { hash: Uint8Array }
    | undefined;
  const row = { ...entry, seq, detail: JSON.stringify(entry.detail ?? {}) };
  const hash = chained(last?.hash ?? GENESIS, row);
  prepare(db, 'INSERT INTO audit VALUES (?, ?, ?, ?, ?, ?, ?)').run(
    row.seq,
    row.at,
    row.actor,
    row.action,
    row.subject,
    row.detail,
    hash,
  );
}

/** The newest entry of an action on a subject. */
export function lastAudit(db: Database, action: string, subject: string): AuditEntry | undefined {
  const sql = 'SELECT * FROM audit WHERE action = ? AND subject = ? ORDER BY seq DESC LIMIT 1';
  const row = prepare(db, sql).get(action, subject) as Row | undefined;
  return row && entryOf(row);
}

const entryOf = (row: Row): AuditEntry => ({
  ...row,
  detail: JSON.parse(row.detail) as Record<string, unknown>,
  hash: bytes(row.hash),
});

/** The newest `limit` entries, oldest first. */
export function listAudit(db: Database, limit: number): AuditEntry[] {
  const rows = prepare(db, 'SELECT * FROM audit ORDER BY seq DESC LIMIT ?').all(limit) as Row[];
  return rows.reverse().map(entryOf);
}

/** The whole trail, some rows at a time. */
function* everyRow(db: Database): Iterable<Row> {
  let last = Number.MIN_SAFE_INTEGER;
  for (;;) {
    const sql = 'SELECT * FROM audit WHERE seq > ? ORDER BY seq LIMIT 100';
    const rows = prepare(db, sql).all(last) as Row[];
    if (rows.length === 0) return;
    yield* rows;
    last = rows.at(-1)!.seq;
  }
}

/**
 * Recomputes the whole chain. Somebody who can write the file can also rewrite the chain or cut its tail together
 * with the counter; only a head kept elsewhere finds that: pass it as `expected`.
 * @throws Failure `audit.broken`
 */
export function verifyAudit(
  db: Database,
  expected?: { seq: number; hash: Uint8Array },
): { entries: number; head: Uint8Array } {
  const verify = db.transaction(() => {
    let previous: Uint8Array = GENESIS;
    let entries = 0;
    for (const row of everyRow(db)) {
      entries++;
      if (row.seq !== entries) throw broken(entries, `is missing (the next one is ${row.seq})`);
      const hash = chained(previous, row);
      if (!equal(hash, row.hash)) throw broken(row.seq, 'does not fit its hash');
      if (expected?.seq === entries && !equal(hash, expected.hash)) {
        throw broken(entries, 'is not the one whose hash was kept');
      }
      previous = hash;
    }
    const { value } = prepare(db, "SELECT value FROM counter WHERE name = 'audit'").get() as {
      value: number;
    };
    if (value !== entries || entries < (expected?.seq ?? 0)) {
      throw broken(entries + 1, `is missing, ${Math.max(value, expected?.seq ?? 0)} were written`);
    }
    return { entries, head: previous };
  });
  return verify();
}

function broken(seq: number, what: string): Failure {
  return new Failure('audit.broken', 'operator', `audit entry ${seq} ${what}`, {
    action: 'Somebody or something changed the registry behind the program: compare with a backup.',
  });
}
