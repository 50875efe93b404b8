import { HOST } from '../../../access/scope.ts';
import type { Act } from '../../records.ts';
import { type Database, prepare } from '../base/statements.ts';
import { appendAudit } from './audit.ts';

/** When the registry was last put back to an earlier state (milliseconds since 1970): what devices did shortly before may be missing. */
export function lastRestore(db: Database): number | undefined {
  const row = prepare(db, "SELECT value FROM counter WHERE name = 'restored'").get();
  return (row as { value: number } | undefined)?.value;
}

/** Records that the registry was put back to an earlier state, in the caller's transaction; `detail` says from what. */
export function recordRestore(db: Database, act: Act, detail: Record<string, unknown>): void {
  record(db, act, 'fabric.restore', detail);
}

/** What a server lacked when it replaced the one before: the numbers of the newest audit entry that was seen, and of the newest one that it had. */
export interface Loss {
  readonly seen: number;
  readonly newest: number;
  /** How often a server was promoted, as PostgreSQL counts it. */
  readonly timeline: number;
}

/** What the trail calls that. */
export const FAILOVER = 'registry.failover';

/** Records the same, since another server has replaced the one that had the newest entries. */
export const recordLoss = (db: Database, act: Act, loss: Loss): void =>
  record(db, act, FAILOVER, { ...loss });

function record(db: Database, act: Act, action: string, detail: Record<string, unknown>): void {
  prepare(
    db,
    "INSERT INTO counter VALUES ('restored', ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value",
  ).run(act.at);
  appendAudit(db, { ...act, owner: HOST, action, subject: 'registry', detail });
}
