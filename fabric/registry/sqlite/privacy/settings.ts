import type { Database } from 'better-sqlite3';
import { DEFAULT_PRIVACY, type Privacy, type PrivacySetting } from '../../privacy.ts';
import type { Act } from '../../records.ts';
import { prepare } from '../file/statements.ts';

/** The owner of all that is nobody else's. */
const OWNER = 1;

export function readPrivacy(db: Database): PrivacySetting {
  const row = prepare(
    db,
    "SELECT value, changed_by, changed FROM setting WHERE owner = ? AND name = 'privacy'",
  ).get(OWNER) as { value: string; changed_by: string; changed: number } | undefined;
  if (row === undefined) return DEFAULT_PRIVACY;
  return { ...(JSON.parse(row.value) as Privacy), changed: { by: row.changed_by, at: row.changed } };
}

export function writePrivacy(db: Database, { actor, at }: Act, { addresses, days }: Privacy): void {
  prepare(db, "INSERT OR REPLACE INTO setting VALUES (?, 'privacy', ?, ?, ?)").run(
    OWNER,
    JSON.stringify({ addresses, ...(days !== undefined && { days }) }),
    actor,
    at,
  );
}
