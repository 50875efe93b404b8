import type { Scope } from '../../../access/scope.ts';
import { type DeviceSearch, textKey } from '../../records.ts';
import { ownTurn } from '../../turns.ts';
import { inScope } from '../base/owned.ts';
import { type Database, prepare } from '../base/statements.ts';
import type { Part, Tails } from './tails.ts';
import { textSearch } from './texts.ts';

/** Groups by whose names devices are found. */
const MOST_GROUPS = 10;

/** Ids of devices in order. There may be more behind `upTo`. */
export interface Found {
  readonly ids: readonly number[];
  readonly upTo?: number;
}

interface Sought {
  /** Only ids behind it. */
  readonly after: number;
  /** As many of each part of the search. */
  readonly most: number;
  readonly scope: Scope;
}

/** The devices that fulfil one part of a search. */
export async function findDevices(
  { db, read, tails }: { db: Database; read: <T>(work: () => T) => T; tails: Tails },
  search: DeviceSearch,
  { after, most, scope }: Sought,
): Promise<Found> {
  const { text, from, end } = search;
  const ofAddress: Part[] = [
    ...(end === undefined ? [] : [{ lastGroup: Buffer.from(end).readUInt16BE(0) }]),
    ...(text !== undefined && from === undefined && PART.test(text) ? [{ text }] : []),
  ];
  const parts = [
    ...(await tails.find(ofAddress, { after, most, scope })),
    ...(text === undefined ? [] : [await named({ db, read }, text, { after, most, scope })]),
    ...read(() => indexed(db, search, { after, most, scope })),
  ];
  // Behind the last one of a part that was not read to its end others are missing.
  const ends = parts.filter((ids) => ids.length >= most).map((ids) => ids.at(-1)!);
  const all = [...new Set(parts.flat())].sort((one, other) => one - other);
  if (ends.length === 0) return { ids: all };
  const upTo = Math.min(...ends);
  return { ids: all.filter((id) => id <= upTo), upTo };
}

/** Of names that begin so, a thousand: sorted by id, all of them would have to be read. */
const byName = (own: string): string =>
  `(SELECT id FROM device INDEXED BY device_name WHERE name >= ? AND name < ? AND ${own} LIMIT 1000) AS named`;

/** What may stand in four groups of an address. */
const PART = /^(?!.*::)[0-9a-f:]{1,20}$/;

/** What indexes answer: each part is a row of one. */
function indexed(
  db: Database,
  { name, from, to, text }: DeviceSearch,
  { after, most, scope }: Sought,
): number[][] {
  const own = inScope(scope);
  // Looked at in the rows of the index that is meant, and never looked up in the owner's.
  const looked = inScope(scope, '+owner');
  const idsOf = (sql: string, id: string, ...values: readonly unknown[]): number[] =>
    prepare(db, `SELECT id FROM ${sql} AND ${id} > ? ORDER BY ${id} LIMIT ?`)
      .pluck()
      .all(...values, after, most) as number[];
  return [
    // Three characters are found wherever they stand.
    ...(name === undefined || text !== undefined
      ? []
      : [idsOf(`${byName(own.sql)} WHERE true`, 'id', name, `${name}\u{10ffff}`, ...own.values)]),
    // The few rows of the range are looked at, not all behind the cursor.
    ...(from === undefined || to === undefined
      ? []
      : [idsOf(`device WHERE address BETWEEN ? AND ? AND ${looked.sql}`, '+id', from, to, ...looked.values)]),
    ...(text === undefined
      ? []
      : groupsNamed(db, scope, text).map((gid) =>
          idsOf(`device WHERE gid = ? AND ${looked.sql}`, 'id', gid, ...looked.values),
        )),
  ];
}

/**
 * Devices whose name or note has the text in it. Those of other owners are passed over here, however many there are: a page that ends at them would
 * tell that somebody else has such a text.
 */
async function named(
  { db, read }: { db: Database; read: <T>(work: () => T) => T },
  text: string,
  { after, most, scope }: Sought,
): Promise<number[]> {
  const search = textSearch(db, text, most);
  const found: number[] = [];
  let last: number | undefined = after;
  while (last !== undefined && found.length < most) {
    const from: number = last;
    if (from !== after) await ownTurn();
    const { matches, upTo } = read(() => search(from));
    found.push(
      ...matches.filter(({ owner }) => scope.everything || owner === scope.owner).map(({ id }) => id),
    );
    last = upTo;
  }
  return found.slice(0, most);
}

/** Groups that are looked at in one read. */
const LOOKED_AT = 1_000;

/** The first groups with the text in their name. SQLite knows the letters of ASCII alone, so the names are compared here. */
function groupsNamed(db: Database, scope: Scope, text: string): Uint8Array[] {
  const own = inScope(scope);
  const found: Uint8Array[] = [];
  let rows: { gid: Uint8Array; name: string }[];
  let after = new Uint8Array(0);
  do {
    rows = prepare(db, `SELECT gid, name FROM grp WHERE gid > ? AND ${own.sql} ORDER BY gid LIMIT ?`).all(
      after,
      ...own.values,
      LOOKED_AT,
    ) as typeof rows;
    found.push(...rows.filter(({ name }) => textKey(name).includes(text)).map(({ gid }) => gid));
    after = new Uint8Array(rows.at(-1)?.gid ?? after);
  } while (rows.length === LOOKED_AT && found.length < MOST_GROUPS);
  return found.slice(0, MOST_GROUPS);
}
