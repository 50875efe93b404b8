import type { Database } from 'better-sqlite3';
import type { NumberedChange } from '../change-feed.ts';
import type { Change } from '../records.ts';
import { bytes } from './database.ts';
import { prepare } from './statements.ts';

/** Records a change in the caller's transaction. The sequence comes from one counter row, so that no smaller one is committed later. */
export function recordChange(db: Database, kind: Change['kind'], subject: Uint8Array): void {
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

/** Rows read at once. */
const PAGE = 500;

/** The changes after `seq`, oldest first; one of a group stands for one of each of its devices, too. */
export function* changesSince(db: Database, seq: number): Generator<NumberedChange> {
  let last = seq;
  for (;;) {
    const rows = prepare(db, 'SELECT * FROM change WHERE seq > ? ORDER BY seq LIMIT ?').all(last, PAGE) as {
      seq: number;
      kind: Change['kind'];
      subject: Uint8Array;
    }[];
    for (const row of rows) {
      last = row.seq;
      for (const change of expand(db, row.kind, bytes(row.subject))) yield { seq: last, change };
    }
    if (rows.length < PAGE) return;
  }
}

function* expand(db: Database, kind: Change['kind'], subject: Uint8Array): Generator<Change> {
  yield changeOf(kind, subject);
  if (kind !== 'group') return;
  for (const address of membersOf(db, subject)) yield { kind: 'device', address };
}

/** A change as its row names it. */
export function changeOf(kind: Change['kind'], subject: Uint8Array): Change {
  if (kind === 'device') return { kind, address: subject };
  if (kind === 'group') return { kind, gid: subject };
  return { kind, prefix: { address: subject, length: 64 } };
}

/** The addresses of a group's devices, by the index of their pseudonyms. */
function* membersOf(db: Database, gid: Uint8Array): Generator<Uint8Array> {
  let last = new Uint8Array(0);
  for (;;) {
    const rows = prepare(
      db,
      'SELECT pseudonym, address FROM device WHERE gid = ? AND pseudonym > ? ORDER BY pseudonym LIMIT ?',
    ).all(gid, last, PAGE) as { pseudonym: Uint8Array<ArrayBuffer>; address: Uint8Array }[];
    for (const { address } of rows) yield bytes(address);
    if (rows.length < PAGE) return;
    last = rows.at(-1)!.pseudonym;
  }
}
