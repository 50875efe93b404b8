import { equal, toHex } from '../../../../protocol/bytes.ts';
import { Failure } from '../../../../protocol/failure.ts';
import type { Scope } from '../../../access/scope.ts';
import { type Act, type Group, shortGid } from '../../records.ts';
import type { NewRoster, Roster } from '../../rosters.ts';
import { inScope } from '../base/owned.ts';
import { bytes, type Database, prepare } from '../base/statements.ts';
import { appendAudit } from '../trail/audit.ts';
import { recordChange } from '../trail/changes.ts';

/** What is needed of a group whose roster it is. */
export type RosterGroup = Pick<Group, 'gid' | 'name' | 'owner'>;

/** A roster as it is kept; times are milliseconds since 1970. */
export interface Kept {
  readonly id: number;
  readonly gid: Uint8Array;
  readonly maker: Uint8Array;
  readonly maker_key: string | null;
  readonly sha256: Uint8Array;
  readonly bytes: number;
  readonly devices: number;
  readonly unnamed: number;
  readonly per_box: number | null;
  readonly names: number;
  readonly created: number;
  readonly received: number;
  readonly received_hash: Uint8Array | null;
  readonly lines: number;
  readonly whole: number;
  readonly indexed: number;
  readonly counted: number;
  readonly outside: number;
  readonly banned: number;
  readonly in_force: number | null;
}

/** The roster of a group, in force or not. */
export const findRoster = (db: Database, gid: Uint8Array): Kept | undefined =>
  prepare(db, 'SELECT * FROM roster WHERE gid = ?').get(gid) as Kept | undefined;

/** @throws Failure `fabric.no-roster` */
export function requireInForce(db: Database, group: RosterGroup): Kept {
  const known = findRoster(db, group.gid);
  if (known === undefined || known.in_force === null) throw noRoster(group);
  return known;
}

/** The roster as it is shown. */
export function rosterOf(db: Database, kept: Kept): Roster {
  const { per_box: perBox, in_force: since, whole, outside } = kept;
  return {
    maker: bytes(kept.maker),
    sha256: bytes(kept.sha256),
    bytes: kept.bytes,
    devices: kept.devices,
    unnamed: kept.unnamed,
    ...(perBox !== null && { perBox }),
    names: kept.names === 1,
    state: since !== null ? 'in-force' : whole === 1 ? 'indexing' : 'arriving',
    created: kept.created,
    received: kept.received,
    indexed: kept.indexed,
    banned: kept.banned,
    ...(since !== null && { inForce: { since, outside, seen: devicesOf(db, kept.gid) - outside } }),
  };
}

/** Whoever has come since a roster is in force is on it. */
const devicesOf = (db: Database, gid: Uint8Array): number =>
  (prepare(db, 'SELECT devices FROM group_size WHERE gid = ?').pluck().get(gid) as number | undefined) ?? 0;

/** Does the group wait for a roster, without which nobody gets in? */
export const isAwaited = (db: Database, gid: Uint8Array): boolean =>
  prepare(db, 'SELECT roster FROM grp WHERE gid = ?').pluck().get(gid) === 0;

/** Begins a roster, or finds the one that was begun with the same lines. @throws Failure `fabric.roster-exists`, `roster.other-maker` */
export function beginRoster(db: Database, act: Act, group: RosterGroup, added: NewRoster): Kept {
  const { gid } = group;
  const maker = prepare(db, 'SELECT maker FROM grp WHERE gid = ?').pluck().get(gid) as Uint8Array | null;
  if (maker !== null && !equal(bytes(maker), added.maker)) throw otherMaker(group);
  const known = findRoster(db, gid);
  const isSame = known !== undefined && equal(bytes(known.sha256), added.sha256);
  if (known !== undefined && known.in_force !== null && !isSame) throw rosterExists(group);
  if (known !== undefined && isSame) {
    prepare(db, 'UPDATE roster SET names = ? WHERE id = ?').run(added.names ? 1 : 0, known.id);
    return findRoster(db, gid)!;
  }
  if (known !== undefined) dropRoster(db, known.id);
  prepare(
    db,
    `INSERT INTO roster (gid, maker, maker_key, sha256, bytes, devices, unnamed, per_box, names, created, whole)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
  ).run(
    ...[
      gid,
      added.maker,
      added.makerKey,
      added.sha256,
      added.bytes,
      added.devices,
      added.unnamed,
      added.perBox ?? null,
    ],
    ...[added.names ? 1 : 0, act.at, added.bytes === 0 ? 1 : 0],
  );
  return findRoster(db, gid)!;
}

/** Makers of one owner that are remembered: each label that is read is compared with all of them. */
const MAKERS_KEPT = 50;

/** Remembers whose roster has come in force. */
export function keepMaker(db: Database, owner: number, { maker, maker_key }: Kept): void {
  if (maker_key === null) return;
  const added = prepare(
    db,
    'INSERT INTO maker_key (owner, maker, key) VALUES (?, ?, ?) ON CONFLICT DO NOTHING',
  ).run(owner, maker, maker_key);
  if (added.changes === 0) return;
  prepare(
    db,
    `DELETE FROM maker_key WHERE owner = ? AND id <=
       (SELECT id FROM maker_key WHERE owner = ? ORDER BY id DESC LIMIT 1 OFFSET ${MAKERS_KEPT})`,
  ).run(owner, owner);
}

/** Keys (PEM) of makers whose rosters have come in force in a scope, the newest first. */
export function makerKeys(db: Database, scope: Scope): string[] {
  const own = inScope(scope);
  return prepare(db, `SELECT key FROM maker_key WHERE ${own.sql} ORDER BY id DESC LIMIT ${MAKERS_KEPT}`)
    .pluck()
    .all(...own.values) as string[];
}

/** It is no group's any more; its rows go little by little. */
export const dropRoster = (db: Database, id: number): void =>
  void prepare(db, 'UPDATE roster SET gid = NULL WHERE id = ?').run(id);

/** Takes the roster of a group away, and no longer waits for one. @throws Failure `fabric.no-roster` */
export function removeRoster(db: Database, act: Act, group: RosterGroup): void {
  const { gid, name, owner } = group;
  const known = findRoster(db, gid);
  if (known === undefined && !isAwaited(db, gid)) throw noRoster(group);
  if (known !== undefined) dropRoster(db, known.id);
  prepare(db, 'UPDATE grp SET roster = NULL, maker = NULL WHERE gid = ?').run(gid);
  recordChange(db, 'group', gid);
  const detail = {
    name,
    devices: known?.devices ?? 0,
    inForce: known !== undefined && known.in_force !== null,
  };
  appendAudit(db, { ...act, owner, action: 'roster.remove', subject: toHex(gid), detail });
}

const dropped = (db: Database): number | undefined =>
  prepare(db, 'SELECT id FROM roster WHERE gid IS NULL LIMIT 1').pluck().get() as number | undefined;

/** Are there rosters that are no group's? */
export const hasDropped = (db: Database): boolean => dropped(db) !== undefined;

/** Removes a part of the rows of one. */
export function sweepRosters(db: Database): void {
  const id = dropped(db);
  if (id === undefined) return;
  for (const [table, key] of TABLES) {
    const { changes } = prepare(
      db,
      `DELETE FROM ${table} WHERE roster = ? AND (${key}) IN
         (SELECT ${key} FROM ${table} WHERE roster = ? ORDER BY ${key} LIMIT ${SWEPT})`,
    ).run(id, id);
    if (changes > 0) return;
  }
  prepare(db, 'DELETE FROM roster WHERE id = ?').run(id);
}

/** Rows that are removed at once: some milliseconds. */
const SWEPT = 500;
const TABLES = [
  ['roster_key', 'key'],
  ['roster_serial', 'key, line'],
  ['roster_row', 'line'],
] as const;

const noRoster = ({ name, gid }: RosterGroup): Failure =>
  new Failure('fabric.no-roster', 'operator', `the group ${name} (${shortGid(gid)}) has no roster in force`, {
    action: 'Give it one with "enf-fabric roster add", or see "enf-fabric roster show".',
  });

const rosterExists = ({ name, gid }: RosterGroup): Failure =>
  new Failure('fabric.roster-exists', 'operator', `the group ${name} (${shortGid(gid)}) has another roster`, {
    action:
      'A closed batch has one. If it was the wrong one, take it away first: "enf-fabric roster remove".',
  });

const otherMaker = ({ name, gid }: RosterGroup): Failure =>
  new Failure(
    'roster.other-maker',
    'operator',
    `the roster is not signed by the maker with whom the group ${name} (${shortGid(gid)}) was admitted`,
    { action: 'Ask the maker for the roster of this batch; somebody else may have made this one.' },
  );
