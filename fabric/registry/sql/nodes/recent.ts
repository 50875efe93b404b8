import { createHash } from 'node:crypto';
import type { Replacement } from '../../admission.ts';
import type { Database } from '../base/statements.ts';
import { auditHash } from '../trail/audit.ts';

/*
 * When and from where the tunnels of a device began of late, at whichever nodes: a text in its row, so that the statement that attaches it tells which
 * tunnels replace each other. Each tunnel from another outer address than the one before it has an entry, the newest first: when it was attached
 * (milliseconds since 1970, base 36), a mark of the address, and `!` if the one before it was up and had no reason to end, else `.`.
 */

const TIME = 9;
/** Base 64: 12 bits. They tell the places of one device apart, and are too few to say which addresses those were. */
const MARK = 2;
/** Characters of an entry. */
export const ENTRY = TIME + MARK + 1;
/** Characters of all that are kept. */
export const RECENT = 32 * ENTRY;

/** Texts in the order of times. */
export const timeOf = (at: number): string => Math.max(0, at).toString(36).padStart(TIME, '0');

/** An entry but for what only the statement knows. */
export const entryOf = (at: number, mark: string): string => timeOf(at) + mark;

/** SQL: the newest tunnel came from the address with this mark. */
export const newestIsOf = (mark: string): string => `substr(recent_tunnels, ${TIME + 1}, ${MARK}) = ${mark}`;

const secrets = new WeakMap<Database, Uint8Array>();

/** What marks depend on beside addresses: no holder of a key can look for an outer address with the mark of the other's. All nodes have it. */
function secretOf(db: Database): Uint8Array {
  const known = secrets.get(db);
  if (known !== undefined) return known;
  // Of the foundation, which stays as long as the registry does, and which only its host sees.
  const secret = auditHash(db, 1);
  if (secret === undefined) throw new Error('a registry that nodes have joined has an audit trail');
  secrets.set(db, secret);
  return secret;
}

/** The mark of an outer address from which a device comes. */
export const markOf = (db: Database, address: Uint8Array, host: string): string =>
  createHash('sha256').update(secretOf(db)).update(address).update(host).digest('base64url').slice(0, MARK);

/** The replacements among recent tunnels, the newest last; empty if the newest tunnel is none: `newest` would be its entry if it has one. */
export function replacementsIn(recent: string, newest: string): readonly Replacement[] {
  const entries = Array.from({ length: recent.length / ENTRY }, (_, i) =>
    recent.slice(i * ENTRY, (i + 1) * ENTRY),
  );
  const places = entries.map((entry) => entry.slice(TIME, TIME + MARK));
  const isReplacement = (i: number): boolean =>
    entries[i]!.endsWith('!') && i + 1 < places.length && places[i] !== places[i + 1];
  if (!recent.startsWith(newest) || !isReplacement(0)) return [];
  return entries
    .flatMap((entry, i) =>
      isReplacement(i)
        ? [{ at: Number.parseInt(entry.slice(0, TIME), 36), by: places[i]!, from: places[i + 1]! }]
        : [],
    )
    .reverse();
}
