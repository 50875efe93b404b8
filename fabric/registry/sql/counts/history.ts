import type { Scope } from '../../../access/scope.ts';
import type { Handshake, HandshakeCount } from '../../records.ts';
import { type Database, prepare } from '../base/statements.ts';

/**
 * Handshakes that have no row of their own any more are counted by day and result: proven ones as those of their chip; the others are nobody's,
 * since anybody can claim to be anybody, and whoever has the issuer's key can make any number of chips that are on no roster.
 */

const isOwn = (db: Database, { owner }: Scope, gid: Uint8Array): boolean =>
  prepare(db, 'SELECT 1 FROM grp WHERE gid = ? AND owner = ?').get(gid, owner) !== undefined;

/** A chip in a group. */
interface Member {
  readonly gid: Uint8Array;
  readonly pseudonym: Uint8Array;
}

export const DAY_MS = 86_400_000;

/** Rows of handshakes that are kept of each chip. */
const ROWS_KEPT = 50;
/** Days for which handshakes are counted. */
const DAYS_KEPT = 400;

const NOBODY: Member = { gid: new Uint8Array(0), pseudonym: new Uint8Array(0) };

const ADD = `ON CONFLICT (gid, pseudonym, day, result) DO UPDATE SET times = handshake_day.times + excluded.times,
  first = min(handshake_day.first, excluded.first), last = max(handshake_day.last, excluded.last)`;

const OFF_ROSTER = 'fabric.not-on-roster';
const OF_CHIP = `proven = 1 AND result <> '${OFF_ROSTER}'`;

/** Whether a handshake counts as one of its chip. */
export const isOfChip = ({ proven, result }: Pick<Handshake, 'proven' | 'result'>): boolean =>
  proven && result !== OFF_ROSTER;

/** Counts the rows that fulfil a condition and removes them. */
export function countAndRemove(db: Database, condition: string, ...values: readonly unknown[]): void {
  prepare(
    db,
    `INSERT INTO handshake_day
     SELECT CASE WHEN ${OF_CHIP} THEN gid ELSE x'' END, CASE WHEN ${OF_CHIP} THEN pseudonym ELSE x'' END, at / ${DAY_MS}, result, count(*), min(at), max(at)
     FROM handshake WHERE ${condition} GROUP BY 1, 2, 3, 4 ${ADD}`,
  ).run(...values);
  prepare(db, `DELETE FROM handshake WHERE ${condition}`).run(...values);
}

/** Keeps the newest rows of a chip, and counts the others. */
export function trimMember(db: Database, at: number, { gid, pseudonym }: Member): void {
  const surplus = prepare(
    db,
    'SELECT id FROM handshake WHERE gid = ? AND pseudonym = ? ORDER BY id DESC LIMIT 1 OFFSET ?',
  ).get(gid, pseudonym, ROWS_KEPT) as { id: number } | undefined;
  if (surplus === undefined) return;
  countAndRemove(db, 'gid = ? AND pseudonym = ? AND id <= ?', gid, pseudonym, surplus.id);
  prepare(db, 'DELETE FROM handshake_day WHERE gid = ? AND pseudonym = ? AND day < ?').run(
    gid,
    pseudonym,
    Math.floor(at / DAY_MS) - DAYS_KEPT,
  );
}

/** Keeps those of the newest `kept` rows that prove nothing or are of no roster, counts the others, and forgets what was counted too long ago. */
export function trimUnproven(db: Database, at: number, kept: number): void {
  const { newest } = prepare(db, 'SELECT max(id) AS newest FROM handshake').get() as { newest: number };
  countAndRemove(db, 'proven = 0 AND id <= ?', newest - kept);
  countAndRemove(db, `result = '${OFF_ROSTER}' AND id <= ?`, newest - kept);
  forgetCounts(db, at);
}

/** Counts that are forgotten at once. */
const FORGOTTEN = 1_000;

/** Forgets a part of what was counted too long ago. */
export function forgetCounts(db: Database, at: number): void {
  prepare(
    db,
    `DELETE FROM handshake_day WHERE (gid, pseudonym, day, result) IN
     (SELECT gid, pseudonym, day, result FROM handshake_day WHERE day < ? LIMIT ${FORGOTTEN})`,
  ).run(Math.floor(at / DAY_MS) - DAYS_KEPT);
}

/** Counts handshakes that get no row. */
export function countHandshakes(
  db: Database,
  { at, result, times }: { at: number; result: string; times: number },
  { gid, pseudonym }: Member = NOBODY,
): void {
  prepare(db, `INSERT INTO handshake_day VALUES (?, ?, ?, ?, ?, ?, ?) ${ADD}`).run(
    gid,
    pseudonym,
    Math.floor(at / DAY_MS),
    result,
    times,
    at,
    at,
  );
}

/** The sums of all days by result, the most frequent one first: of one chip, or of nobody, which only who sees everything learns. */
export function handshakeCounts(db: Database, scope: Scope, member?: Member): HandshakeCount[] {
  const { gid, pseudonym } = member ?? NOBODY;
  if (!scope.everything && (member === undefined || !isOwn(db, scope, gid))) return [];
  return prepare(
    db,
    `SELECT result, sum(times) AS times, min(first) AS first, max(last) AS last FROM handshake_day
     WHERE gid = ? AND pseudonym = ? GROUP BY result ORDER BY times DESC, result`,
  ).all(gid, pseudonym) as HandshakeCount[];
}
