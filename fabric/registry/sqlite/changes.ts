import type { Database } from 'better-sqlite3';
import type { Change } from '../records.ts';
import { bytes } from './database.ts';
import { prepare } from './statements.ts';

/** Notes a change in the caller's transaction. The sequence comes from one counter row, so that none commits late. */
export function recordChange(db: Database, kind: 'device' | 'group' | 'network', subject: Uint8Array): void {
  const { value } = prepare(
    db,
    "UPDATE counter SET value = value + 1 WHERE name = 'change' RETURNING value",
  ).get() as { value: number };
  prepare(db, 'INSERT INTO change VALUES (?, ?, ?)').run(value, kind, subject);
}

/** The newest change's sequence number. */
export function lastChange(db: Database): number {
  return (prepare(db, "SELECT value FROM counter WHERE name = 'change'").get() as { value: number }).value;
}

/** The changes after `seq`, oldest first; one of a group stands for one of each of its devices, too. */
export function changesSince(db: Database, seq: number): { seq: number; changes: Change[] } {
  const rows = prepare(db, 'SELECT * FROM change WHERE seq > ? ORDER BY seq').all(seq) as {
    seq: number;
    kind: 'device' | 'group' | 'network';
    subject: Uint8Array;
  }[];
  const changes = rows.flatMap((row) => expand(db, row.kind, bytes(row.subject)));
  return { seq: rows.at(-1)?.seq ?? seq, changes };
}

function expand(db: Database, kind: 'device' | 'group' | 'network', subject: Uint8Array): Change[] {
  if (kind === 'device') return [{ kind, address: subject }];
  if (kind === 'network') return [{ kind, prefix: { address: subject, length: 64 } }];
  const devices = prepare(db, 'SELECT address FROM device WHERE gid = ?').all(subject) as {
    address: Uint8Array;
  }[];
  const each = devices.map(({ address }): Change => ({ kind: 'device', address: bytes(address) }));
  return [{ kind: 'group', gid: subject }, ...each];
}
