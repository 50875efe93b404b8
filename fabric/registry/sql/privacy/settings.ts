import { HOST, type Scope } from '../../../access/scope.ts';
import { DEFAULT_PRIVACY, type Privacy, type PrivacyChoices, type PrivacySetting } from '../../privacy.ts';
import type { Act } from '../../records.ts';
import { type Database, prepare } from '../base/statements.ts';

interface Row {
  value: string;
  changed_by: string;
  changed: number;
}

/** Whose choice it is: that of who sees everything holds for all who have none. */
export const chooserOf = ({ owner, everything }: Scope): number => (everything ? HOST : owner);

/** What holds for an owner; `HOST`: for who has not chosen. Owners are not told who has chosen for the host. */
export function readPrivacy(db: Database, owner: number): PrivacySetting {
  const row = prepare(
    db,
    "SELECT value, changed_by, changed, owner FROM setting WHERE owner IN (?, ?) AND name = 'privacy' ORDER BY owner DESC LIMIT 1",
  ).get(owner, HOST) as (Row & { owner: number }) | undefined;
  if (row === undefined) return DEFAULT_PRIVACY;
  const of = row.owner === HOST ? 'host' : 'owner';
  const by = row.owner === owner ? { by: row.changed_by } : {};
  return { ...(JSON.parse(row.value) as Privacy), chosen: { of, ...by, at: row.changed } };
}

export function writePrivacy(
  db: Database,
  owner: number,
  { actor, at }: Act,
  { addresses, days }: Privacy,
): void {
  prepare(
    db,
    `INSERT INTO setting VALUES (?, 'privacy', ?, ?, ?)
     ON CONFLICT (owner, name) DO UPDATE SET value = excluded.value, changed_by = excluded.changed_by, changed = excluded.changed`,
  ).run(owner, JSON.stringify({ addresses, ...(days !== undefined && { days }) }), actor, at);
}

/** Choices, and what they were read from. */
export type KnownChoices = PrivacyChoices & { readonly text: string };

/** All choices: owners are few. The same object as `before` if nothing has changed since. */
export function readChoices(db: Database, before?: KnownChoices): KnownChoices {
  const rows = prepare(
    db,
    "SELECT owner, value FROM setting WHERE name = 'privacy' ORDER BY owner",
  ).all() as {
    owner: number;
    value: string;
  }[];
  const text = JSON.stringify(rows);
  if (text === before?.text) return before;
  const chosen = new Map(rows.map(({ owner, value }) => [owner, JSON.parse(value) as Privacy]));
  const others = chosen.get(HOST) ?? DEFAULT_PRIVACY;
  return {
    text,
    of: (owner) => chosen.get(owner) ?? others,
    forget: [...chosen.values()].some(({ addresses, days }) => addresses !== 'whole' || days !== undefined),
  };
}
