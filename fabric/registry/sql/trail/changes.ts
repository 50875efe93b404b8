import { CHANGES_AT_ONCE, type NumberedChange } from '../../change-feed.ts';
import { MOST_NODES } from '../../nodes.ts';
import type { Change, RecordedChange } from '../../records.ts';
import { bytes, type Database, prepare } from '../base/statements.ts';

/** Records a change in the caller's transaction. The sequence comes from one counter row, so that no smaller one is committed later. */
export function recordChange(db: Database, kind: RecordedChange['kind'], subject: Uint8Array): void {
  const next = prepare(db, "UPDATE counter SET value = value + 1 WHERE name = 'change' RETURNING value");
  prepare(db, 'INSERT INTO change VALUES (?, ?, ?)').run(next.pluck().get(), kind, subject);
}

/** The newest change's sequence number. */
export function lastChange(db: Database): number {
  return (prepare(db, "SELECT value FROM counter WHERE name = 'change'").get() as { value: number }).value;
}

interface Row {
  seq: number;
  kind: RecordedChange['kind'];
  subject: Uint8Array;
}

/**
 * The oldest changes after `seq`. If those that follow it were removed already, `everything` and a change of each network and of each node stand for
 * them: whoever acts on these has everything as it is now.
 */
export function changesSince(db: Database, seq: number): readonly NumberedChange[] {
  const rows = prepare(db, 'SELECT * FROM change WHERE seq > ? ORDER BY seq LIMIT ?').all(
    seq,
    CHANGES_AT_ONCE,
  ) as Row[];
  const [oldest] = rows;
  const changes = rows.map((row) => ({ seq: row.seq, change: changeOf(row.kind, bytes(row.subject)) }));
  if (oldest === undefined || oldest.seq === seq + 1) return changes;
  return [...everything(db).map((change) => ({ seq: oldest.seq - 1, change })), ...changes];
}

/** A change as its row names it. */
export function changeOf(kind: RecordedChange['kind'], subject: Uint8Array): RecordedChange {
  if (kind === 'device') return { kind, address: subject };
  if (kind === 'group') return { kind, gid: subject };
  if (kind === 'node') return { kind, name: new TextDecoder().decode(subject) };
  return { kind, prefix: { address: subject, length: 64 } };
}

/** `everything` and a change of each network and of each node, and the number of the newest change. */
export const everythingNow = (db: Database): { readonly seq: number; readonly changes: readonly Change[] } =>
  db.transaction(() => ({ seq: lastChange(db), changes: everything(db) }))();

/** Of groups, of which there may be as many as of devices, no subscriber needs to know which there are. */
function everything(db: Database): Change[] {
  const prefixes = prepare(db, 'SELECT prefix FROM network').pluck().all() as Uint8Array[];
  return [
    { kind: 'everything' },
    ...prefixes.map((prefix) => changeOf('network', bytes(prefix))),
    ...nodeNames(db).map((name): Change => ({ kind: 'node', name })),
  ];
}

/** The names of all nodes: few. */
const nodeNames = (db: Database): readonly string[] =>
  prepare(db, `SELECT name FROM node ORDER BY id LIMIT ${MOST_NODES}`).pluck().all() as string[];

/** The newest changes, which are kept for other readers, however far this one has read: those of some tenths of a second. */
const KEPT = 1_000;
/** The same while other nodes serve, of which all begin tunnels at the same time after an outage. */
const KEPT_FOR_NODES = 100_000;
/** Changes removed at once. */
const REMOVED = 1_000;

/** Removes a part of the changes that were read, up to the number `seen`; true if there are more of them. `several`: other nodes may serve, too. */
export function removeChanges(db: Database, seen: number, several = false): boolean {
  const upTo = Math.min(seen, lastChange(db) - (several ? KEPT_FOR_NODES : KEPT));
  const { changes } = prepare(
    db,
    'DELETE FROM change WHERE seq <= min(?, (SELECT min(seq) FROM change) + ?)',
  ).run(upTo, REMOVED - 1);
  return changes === REMOVED;
}
