import { fromHex, toHex } from '../../../protocol/bytes.ts';
import { Failure, isFailure } from '../../../protocol/failure.ts';
import { serialKey } from '../../../protocol/serial.ts';
import { decodeUtf8, encodeUtf8 } from '../../../protocol/utf8.ts';
import type { Scope } from '../../access/scope.ts';
import { cursorOf, type Page, type PageRequest, parseCursor } from '../pages.ts';
import type { Act, Device } from '../records.ts';
import {
  ROSTER_CURSOR,
  ROSTER_LIST,
  type RosterChange,
  type RosterEntry,
  type RosterFilter,
  type RosterPart,
  type RosterRow,
} from '../rosters.ts';
import { bytes, type Database, prepare } from './base/statements.ts';
import { deviceStanding, setStanding } from './inventory/devices.ts';
import { requireGroup } from './inventory/groups.ts';
import { findListed } from './roster/listed.ts';
import { findRoster, type Kept, requireInForce } from './roster/rosters.ts';
import { appendAudit } from './trail/audit.ts';

/** Rows that are looked at in one call: some milliseconds. */
const WINDOW = 500;
/** Rows that are changed in one commit. */
const CHANGED = 200;

/** A row, and where it is in the list. */
interface Row {
  readonly line: number;
  readonly pseudonym: Uint8Array | null;
  readonly serial: string | null;
  readonly resident: number | null;
  readonly banned: number;
  /** In a list by serial numbers. */
  readonly key?: string;
}

interface DeviceRow {
  readonly address: Uint8Array;
  readonly name: string | null;
  readonly retired: number | null;
  readonly banned: number;
  readonly evicted: number;
  readonly created: number;
}

/** A page of the roster that is in force. @throws Failure `fabric.unknown-group`, `fabric.no-roster`, `fabric.bad-cursor` */
export function listRoster(
  db: Database,
  scope: Scope,
  gid: Uint8Array,
  page: PageRequest,
  filter: RosterFilter = {},
): Page<RosterRow> {
  const kept = requireInForce(db, requireGroup(db, scope, gid));
  const { seen, banned } = filter;
  const fits = fitting(filter);
  const narrowed = seen !== undefined || banned !== undefined || fits !== undefined;
  const most = narrowed ? WINDOW : page.limit + 1;
  const rows = rowsBehind(db, kept, filter, page.after, most);
  const shown: RosterRow[] = [];
  let last: Row | undefined;
  for (const row of rows) {
    if (shown.length === page.limit) return { rows: shown, next: cursorBehind(last!) };
    last = row;
    if (fits?.(row) === false) continue;
    const view = rowOf(db, kept, row);
    if (seen !== undefined && (view.device !== undefined) !== seen) continue;
    if (banned !== undefined && isBanned(view) !== banned) continue;
    shown.push(view);
  }
  return { rows: shown, next: rows.length === most && narrowed ? cursorBehind(last!) : undefined };
}

/** What the roster in force of its group says of a device. @throws Failure `fabric.unknown-group` */
export function rosterEntry(
  db: Database,
  scope: Scope,
  { gid, pseudonym }: Pick<Device, 'gid' | 'pseudonym'>,
): RosterEntry | undefined {
  const kept = findRoster(db, requireGroup(db, scope, gid).gid);
  if (kept === undefined || kept.in_force === null) return undefined;
  const row = findListed(db, kept.id, pseudonym);
  if (row === undefined) return undefined;
  return entryOf(kept, row);
}

const entryOf = (
  { per_box: perBox }: Kept,
  { line, serial, resident }: Pick<Row, 'line' | 'serial' | 'resident'>,
): RosterEntry => ({
  ...(serial !== null && { serial }),
  ...(resident !== null && { resident: resident === 1 }),
  ...(perBox !== null && { box: Math.ceil(line / perBox) }),
});

const isBanned = ({ banned, device }: RosterRow): boolean =>
  device === undefined ? banned : device.standing === 'banned';

/** Bans or unbans some of them behind a cursor. @throws Failure `fabric.unknown-group`, `fabric.no-roster`, `fabric.bad-cursor` */
export function changeRoster(
  db: Database,
  scope: Scope,
  act: Act,
  gid: Uint8Array,
  { of, change, after }: { of: RosterPart; change: 'ban' | 'unban'; after?: string | undefined },
): RosterChange {
  const group = requireGroup(db, scope, gid);
  const kept = requireInForce(db, group);
  const rows = rowsBehind(db, kept, of, after, CHANGED);
  const meant = rows.filter(fitting(of) ?? (() => true));
  const failures: { subject: string; failure: NonNullable<RosterChange['failures']>[number]['failure'] }[] =
    [];
  const marked: Row[] = [];
  let changed = 0;
  for (const row of meant) {
    const device = deviceOf(db, kept, row);
    try {
      if (device === undefined) {
        if (mark(db, kept.id, row, change)) marked.push(row);
      } else if (setStanding(db, scope, act, bytes(device.address), change)) changed++;
    } catch (error) {
      if (!isFailure(error)) throw error;
      failures.push({ subject: row.serial ?? `line ${row.line}`, failure: error });
    }
  }
  if (marked.length > 0) {
    const by = change === 'ban' ? marked.length : -marked.length;
    prepare(db, 'UPDATE roster SET banned = banned + ? WHERE id = ?').run(by, kept.id);
    const [first, last] = [marked[0]!, marked.at(-1)!];
    appendAudit(db, {
      ...act,
      owner: group.owner,
      action: `roster.${change}`,
      subject: toHex(gid),
      detail: {
        name: group.name,
        devices: marked.length,
        lines: [first.line, last.line],
        ...serialsOf(first, last),
      },
    });
  }
  return {
    rows: meant.length,
    changed: changed + marked.length,
    failures,
    next: rows.length === CHANGED ? cursorBehind(rows.at(-1)!) : undefined,
  };
}

const serialsOf = ({ serial: from }: Row, { serial: to }: Row) =>
  from === null || to === null ? {} : { from, to };

/** A device that has not come; false if there was nothing to do. */
function mark(db: Database, id: number, { line, banned }: Row, change: 'ban' | 'unban'): boolean {
  const wanted = change === 'ban' ? 1 : 0;
  if (banned === wanted) return false;
  prepare(db, 'UPDATE roster_row SET banned = ? WHERE roster = ? AND line = ?').run(wanted, id, line);
  return true;
}

/** What is looked at in the rows that are read; undefined: nothing, all of them are meant. */
function fitting({ serial, from, to, box }: RosterPart): ((row: Row) => boolean) | undefined {
  if (serial !== undefined) return (row) => row.serial === serial;
  if (box === undefined || (from === undefined && to === undefined)) return undefined;
  const [least, last] = keysOf(from, to);
  return (row) => row.serial !== null && isBetween(serialKey(row.serial), least, last);
}

/** The keys of the first serial number and the last one. */
const keysOf = (from: string | undefined, to: string | undefined): readonly [string, string] => [
  from === undefined ? '' : serialKey(from),
  to === undefined ? '\u{10ffff}' : serialKey(to),
];

const isBetween = (key: string, least: string, last: string): boolean => key >= least && key <= last;

/**
 * Rows behind a cursor: those of a box, or all, in the order of the lines; else by their serial numbers, where these are asked for. A box is small, a
 * range of serial numbers need not be.
 */
function rowsBehind(
  db: Database,
  { id, lines, per_box: perBox }: Kept,
  { serial, from = serial, to = serial, box }: RosterPart,
  after: string | undefined,
  most: number,
): Row[] {
  const [, hex = '', line = '0'] = after === undefined ? [] : parseCursor(ROSTER_LIST, after, ROSTER_CURSOR);
  if (box !== undefined || (from === undefined && to === undefined)) {
    const [least, last] = box === undefined ? [1, lines] : boxLines(lines, perBox, box);
    return prepare(
      db,
      `SELECT line, pseudonym, serial, resident, banned FROM roster_row
       WHERE roster = ? AND line > ? AND line <= ? ORDER BY line LIMIT ?`,
    ).all(id, Math.max(Number(line), least - 1), last, most) as Row[];
  }
  const behind = decodeUtf8(fromHex(hex)) ?? '';
  return prepare(
    db,
    `SELECT s.key, s.line, pseudonym, serial, resident, banned
     FROM roster_serial AS s JOIN roster_row AS r ON r.roster = s.roster AND r.line = s.line
     WHERE s.roster = ? AND (s.key, s.line) > (?, ?) AND s.key >= ? AND s.key <= ?
     ORDER BY s.key, s.line LIMIT ?`,
  ).all(...[id, behind, Number(line), ...keysOf(from, to), most]) as Row[];
}

/** The first line of a box, and the last one. @throws Failure `roster.no-boxes` */
function boxLines(lines: number, perBox: number | null, box: number): readonly [number, number] {
  if (perBox === null) {
    throw new Failure(
      'roster.no-boxes',
      'operator',
      'the roster does not say how many devices are in a box',
      {
        action: 'Name serial numbers; a maker says it with "enf-factory batch close --per-box".',
      },
    );
  }
  return [(box - 1) * perBox + 1, Math.min(lines, box * perBox)];
}

const cursorBehind = ({ key, line }: Row): string =>
  cursorOf(ROSTER_LIST, key === undefined ? line : `${toHex(encodeUtf8(key))}-${line}`);

function rowOf(db: Database, kept: Kept, row: Row): RosterRow {
  const { line, pseudonym, banned } = row;
  const device = deviceOf(db, kept, row);
  return {
    line,
    ...(pseudonym !== null && { pseudonym: bytes(pseudonym) }),
    ...entryOf(kept, row),
    banned: banned === 1,
    ...(device !== undefined && {
      device: {
        address: bytes(device.address),
        ...(device.name !== null && { name: device.name }),
        standing: deviceStanding(device.retired, device.banned, device.evicted),
        created: device.created,
      },
    }),
  };
}

const deviceOf = (db: Database, { gid }: Kept, { pseudonym }: Row): DeviceRow | undefined =>
  pseudonym === null
    ? undefined
    : (prepare(
        db,
        'SELECT address, name, retired, banned, evicted, created FROM device WHERE gid = ? AND pseudonym = ?',
      ).get(gid, pseudonym) as DeviceRow | undefined);
