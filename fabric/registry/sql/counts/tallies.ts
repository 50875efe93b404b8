import type { Scope } from '../../../access/scope.ts';
import {
  ABANDONED,
  type Arrival,
  type Census,
  type GroupNumbers,
  type Handshake,
  type HandshakeTally,
  type StandingCounts,
} from '../../records.ts';
import { ownTurn } from '../../turns.ts';
import { inScope } from '../base/owned.ts';
import { type Database, prepare } from '../base/statements.ts';
import { DAY_MS } from './history.ts';

/** What is counted while rows are written, so that nobody has to read them to see how many there are. */

const HOUR_MS = 3_600_000;
const DAYS_KEPT = 90;
const MINUTE_MS = 60_000;
const MINUTES_LISTED = 10_000;

/** How handshakes end, as the column `ok` has it. */
const OUTCOME = { refused: 0, ok: 1, abandoned: 2 } as const;

const outcomeOf = (result: string): number => {
  if (result === 'ok') return OUTCOME.ok;
  return result === ABANDONED ? OUTCOME.abandoned : OUTCOME.refused;
};

const sumOf = (outcome: number): string => `sum(CASE WHEN ok = ${outcome} THEN times ELSE 0 END)`;

/** Counts `times` handshakes of this kind. */
export function tally(
  db: Database,
  { at, country, result, owner }: Handshake & { readonly owner: number },
  times: number,
): void {
  prepare(
    db,
    `INSERT INTO handshake_hour VALUES (?, ?, ?, ?, ?)
     ON CONFLICT (hour, owner, country, ok) DO UPDATE SET times = handshake_hour.times + excluded.times`,
  ).run(Math.floor(at / HOUR_MS), owner, country ?? '', outcomeOf(result), times);
}

/** Forgets what was counted too long ago. */
export function trimTallies(db: Database, at: number): void {
  prepare(db, 'DELETE FROM handshake_hour WHERE hour < ?').run(
    Math.floor((at - DAYS_KEPT * DAY_MS) / HOUR_MS),
  );
}

/** Hours whose counts are added up in one turn: of each there is a row or two for each country. */
const HOURS_AT_ONCE = 168;

type Reading = <T>(work: () => T) => T;

interface TallyRow extends HandshakeTally {
  readonly key: number | string;
}

/** The sums of all hours since a time, by a column, part by part; a sum of a country is that of its parts. */
async function tallies(
  db: Database,
  scope: Scope,
  read: Reading,
  since: number,
  by: 'hour' | 'country',
): Promise<TallyRow[]> {
  const own = inScope(scope);
  const { oldest, newest } = read(() =>
    prepare(
      db,
      'SELECT (SELECT min(hour) FROM handshake_hour) AS oldest, (SELECT max(hour) FROM handshake_hour) AS newest',
    ).get(),
  ) as { oldest: number | null; newest: number | null };
  if (oldest === null || newest === null) return [];
  const first = Math.max(oldest, Math.floor(since / HOUR_MS));
  const all: TallyRow[] = [];
  for (let hour = first; hour <= newest; hour += HOURS_AT_ONCE) {
    if (hour > first) await ownTurn();
    const rows = read(() =>
      prepare(
        db,
        `SELECT ${by} AS key, ${sumOf(OUTCOME.ok)} AS ok, ${sumOf(OUTCOME.refused)} AS refused,
           ${sumOf(OUTCOME.abandoned)} AS abandoned FROM handshake_hour
         WHERE hour >= ? AND hour < ? AND ${own.sql} GROUP BY ${by}`,
      ).all(hour, hour + HOURS_AT_ONCE, ...own.values),
    );
    all.push(...(rows as TallyRow[]));
  }
  return all;
}

export async function hourTallies(
  db: Database,
  scope: Scope,
  read: Reading,
  since: number,
): Promise<ReadonlyMap<number, HandshakeTally>> {
  const rows = await tallies(db, scope, read, since, 'hour');
  return new Map(rows.map(({ key, ...sums }) => [Number(key) * HOUR_MS, sums]));
}

export async function countryTallies(
  db: Database,
  scope: Scope,
  read: Reading,
  since: number,
): Promise<ReadonlyMap<string | undefined, HandshakeTally>> {
  const sums = new Map<string | undefined, HandshakeTally>();
  for (const { key, ok, refused, abandoned } of await tallies(db, scope, read, since, 'country')) {
    const country = key === '' ? undefined : String(key);
    const sum = sums.get(country) ?? { ok: 0, refused: 0, abandoned: 0 };
    sums.set(country, {
      ok: sum.ok + ok,
      refused: sum.refused + refused,
      abandoned: sum.abandoned + abandoned,
    });
  }
  return sums;
}

export function deviceCountries(db: Database, scope: Scope): ReadonlyMap<string, number> {
  const own = inScope(scope);
  const rows = prepare(
    db,
    `SELECT country, sum(devices) AS devices FROM device_country WHERE devices > 0 AND ${own.sql} GROUP BY country`,
  ).all(...own.values) as {
    country: string;
    devices: number;
  }[];
  return new Map(rows.map(({ country, devices }) => [country, devices]));
}

/** When the devices of a group came, oldest first. */
export function arrivalsOf(db: Database, scope: Scope, gid: Uint8Array, most = MINUTES_LISTED): Arrival[] {
  const own = inScope(scope);
  const rows = prepare(
    db,
    `SELECT minute, devices FROM arrival
     WHERE gid = ? AND gid IN (SELECT gid FROM grp WHERE ${own.sql}) ORDER BY minute DESC LIMIT ?`,
  ).all(gid, ...own.values, most) as { minute: number; devices: number }[];
  return rows.reverse().map(({ minute, devices }) => ({ at: minute * MINUTE_MS, devices }));
}

/** The numbers of a group's devices as columns: a device that is banned and evicted is in `banned` and in `evicted`. */
const STANDINGS = `devices, devices - retired - banned - evicted + both AS active, banned, evicted,
  both AS bannedAndEvicted, retired`;

const NO_DEVICES: StandingCounts = {
  ...{ devices: 0, active: 0, banned: 0, evicted: 0, bannedAndEvicted: 0, retired: 0 },
};

/** Of a group, whosever it is. */
export const standingCounts = (db: Database, gid: Uint8Array): StandingCounts =>
  (prepare(db, `SELECT ${STANDINGS} FROM group_size WHERE gid = ?`).get(gid) as StandingCounts | undefined) ??
  NO_DEVICES;

export function groupNumbers(db: Database, scope: Scope, gid: Uint8Array): GroupNumbers {
  const own = inScope(scope);
  const row = prepare(
    db,
    `SELECT ${STANDINGS}, connected FROM group_size JOIN grp USING (gid) WHERE gid = ? AND ${own.sql}`,
  ).get(gid, ...own.values);
  return (row as GroupNumbers | undefined) ?? { ...NO_DEVICES, connected: 0 };
}

const sums = (columns: readonly string[]): string =>
  columns.map((column) => `coalesce(sum(${column}), 0) AS ${column}`).join(', ');

export function census(db: Database, scope: Scope): Census {
  const own = inScope(scope);
  const numbers = prepare(
    db,
    `SELECT count(*) AS groups, ${sums(Object.keys(NO_DEVICES))},
       coalesce(sum(CASE WHEN status = 'suspended' THEN devices ELSE 0 END), 0) AS suspended, coalesce(sum(connected), 0) AS connected
     FROM grp LEFT JOIN (SELECT gid, connected, ${STANDINGS} FROM group_size) AS size USING (gid) WHERE ${own.sql}`,
  ).get(...own.values) as Omit<Census, 'networks'>;
  const networks = prepare(db, `SELECT count(*) FROM network WHERE ${own.sql}`)
    .pluck()
    .get(...own.values) as number;
  return { networks, ...numbers };
}

/** How many devices are banned, or in a suspended group. */
export function excluded(db: Database): number {
  const { n } = prepare(
    db,
    `SELECT coalesce(sum(CASE WHEN status = 'suspended' THEN devices ELSE banned END), 0) AS n FROM group_size JOIN grp USING (gid)`,
  ).get() as { n: number };
  return n;
}
