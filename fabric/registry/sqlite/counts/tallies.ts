import type { Database } from 'better-sqlite3';
import type { Arrival, Census, GroupNumbers, Handshake, HandshakeTally } from '../../records.ts';
import { prepare } from '../file/statements.ts';
import { DAY_MS } from './history.ts';

/** What is counted while rows are written, so that nobody has to read them to see how many there are. */

const HOUR_MS = 3_600_000;
const DAYS_KEPT = 90;
const MINUTE_MS = 60_000;
const MINUTES_LISTED = 10_000;

/** Counts `times` handshakes of this kind. */
export function tally(db: Database, { at, country, result }: Handshake, times: number): void {
  prepare(
    db,
    'INSERT INTO handshake_hour VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE SET times = times + excluded.times',
  ).run(Math.floor(at / HOUR_MS), country ?? '', result === 'ok' ? 1 : 0, times);
}

/** Forgets what was counted too long ago. */
export function trimTallies(db: Database, at: number): void {
  prepare(db, 'DELETE FROM handshake_hour WHERE hour < ?').run(
    Math.floor((at - DAYS_KEPT * DAY_MS) / HOUR_MS),
  );
}

/** Handshakes since a time by hour and country, oldest first. */
export function handshakeTallies(db: Database, since: number): HandshakeTally[] {
  const rows = prepare(
    db,
    `SELECT hour, country, sum(iif(ok, times, 0)) AS ok, sum(iif(ok, 0, times)) AS refused FROM handshake_hour
     WHERE hour >= ? GROUP BY hour, country ORDER BY hour, country`,
  ).all(Math.floor(since / HOUR_MS)) as { hour: number; country: string; ok: number; refused: number }[];
  return rows.map(({ hour, country, ...rest }) => ({
    ...rest,
    hour: hour * HOUR_MS,
    country: country === '' ? undefined : country,
  }));
}

export function deviceCountries(db: Database): ReadonlyMap<string, number> {
  const rows = prepare(db, 'SELECT country, devices FROM device_country WHERE devices > 0').all() as {
    country: string;
    devices: number;
  }[];
  return new Map(rows.map(({ country, devices }) => [country, devices]));
}

/** When the devices of a group came, oldest first. */
export function arrivalsOf(db: Database, gid: Uint8Array, most = MINUTES_LISTED): Arrival[] {
  const rows = prepare(
    db,
    'SELECT minute, devices FROM arrival WHERE gid = ? ORDER BY minute DESC LIMIT ?',
  ).all(gid, most) as { minute: number; devices: number }[];
  return rows.reverse().map(({ minute, devices }) => ({ at: minute * MINUTE_MS, devices }));
}

export function groupNumbers(db: Database, gid: Uint8Array): GroupNumbers {
  const row = prepare(db, 'SELECT devices, connected FROM group_size WHERE gid = ?').get(gid);
  return (row as GroupNumbers | undefined) ?? { devices: 0, connected: 0 };
}

export function census(db: Database): Census {
  const sum = (column: string, where = ''): number =>
    (prepare(db, `SELECT coalesce(sum(${column}), 0) AS n FROM group_size ${where}`).get() as { n: number })
      .n;
  return {
    networks: count(db, 'network'),
    groups: count(db, 'grp'),
    devices: sum('devices'),
    banned: sum('banned'),
    evicted: count(db, 'device WHERE evicted = 1'),
    retired: sum('retired'),
    suspended: sum('devices', "WHERE gid IN (SELECT gid FROM grp WHERE status = 'suspended')"),
    connected: sum('connected'),
  };
}

/** How many devices are banned, or in a suspended group. */
export function excluded(db: Database): number {
  const { n } = prepare(
    db,
    `SELECT coalesce(sum(iif(status = 'suspended', devices, banned)), 0) AS n FROM group_size JOIN grp USING (gid)`,
  ).get() as { n: number };
  return n;
}

function count(db: Database, from: string): number {
  return (prepare(db, `SELECT count(*) AS n FROM ${from}`).get() as { n: number }).n;
}
