import { HOST, type Scope } from '../../../access/scope.ts';
import { cursorOf, type Page, type PageRequest, pageOf, parseNumberCursor } from '../../pages.ts';
import { ABANDONED, type Handshake, type HandshakeFilter } from '../../records.ts';
import { type Condition, newestFirst } from '../base/filters.ts';
import { inScope, isIndexed, ownersShown } from '../base/owned.ts';
import { bytes, type Database, prepare } from '../base/statements.ts';
import { citiesAt, cityId } from '../counts/cities.ts';
import { countHandshakes, isOfChip, trimMember, trimUnproven } from '../counts/history.ts';
import { tally, trimTallies } from '../counts/tallies.ts';

/** A handshake, and the owner of the group that it claims; `HOST` if nobody has that. */
type Owned = Handshake & { readonly owner: number };

/** Appends a handshake to the history. */
export function recordHandshake(db: Database, row: Owned): void {
  prepare(
    db,
    `INSERT INTO handshake (at, source, suite, gid, pseudonym, proven, result, address, country, owner, place)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
  ).run(
    row.at,
    row.source,
    row.suite ?? null,
    row.gid ?? null,
    row.pseudonym ?? null,
    row.proven ? 1 : 0,
    row.result,
    row.address ?? null,
    row.country ?? null,
    row.owner,
    cityId(db, row.city),
  );
  tally(db, row, 1);
}

interface Row {
  id: number;
  at: number;
  source: string;
  suite: number | null;
  gid: Uint8Array | null;
  pseudonym: Uint8Array | null;
  proven: number;
  result: string;
  address: Uint8Array | null;
  country: string | null;
  owner: number;
  place: number | null;
}

/** Whose the rows are, and where they came from, is read once for all. */
function handshakesOf(db: Database, rows: readonly Row[]): Handshake[] {
  const shown = ownersShown(db, rows);
  const cities = citiesAt(
    db,
    rows.flatMap(({ place }) => (place === null ? [] : [place])),
  );
  return rows.map((row) => ({
    at: row.at,
    source: row.source,
    ...(row.country === null ? {} : { country: row.country }),
    ...(row.place === null ? {} : { city: cities.get(row.place)! }),
    ...(row.suite === null ? {} : { suite: row.suite }),
    ...(row.gid === null ? {} : { gid: bytes(row.gid) }),
    ...(row.pseudonym === null ? {} : { pseudonym: bytes(row.pseudonym) }),
    proven: row.proven === 1,
    result: row.result,
    ...(row.address === null ? {} : { address: bytes(row.address) }),
    ...shown(row.owner),
  }));
}

/** A page of handshakes, newest first; a narrowed one has been looked for in a bounded number of rows. */
export function listHandshakes(
  db: Database,
  scope: Scope,
  page: PageRequest,
  filter: HandshakeFilter = {},
): Page<Handshake> {
  const before = parseNumberCursor('handshakes', page.after) ?? Number.MAX_SAFE_INTEGER;
  const { indexed, others } = conditionsOf(scope, filter);
  const { rows, seen } = newestFirst<Row>(
    db,
    { table: 'handshake', key: 'id', indexed, others },
    { before, limit: page.limit },
  );
  const { rows: shown, next } = pageOf('handshakes', page, rows, (row) => row.id);
  return {
    rows: handshakesOf(db, shown),
    next: seen === undefined ? next : cursorOf('handshakes', seen),
  };
}

/** What a filter asks of a row: first what an index answers, then what is looked at in the rows that it finds. */
function conditionsOf(
  scope: Scope,
  { device, gid, result }: HandshakeFilter,
): {
  readonly indexed: Condition;
  readonly others: readonly Condition[];
} {
  const own = scope.everything ? [] : [inScope(scope)];
  const results = [...(result === undefined ? [] : [resultIs(result)]), ...own];
  if (device !== undefined) {
    const { gid, pseudonym } = device;
    return { indexed: { sql: 'gid = ? AND pseudonym = ?', values: [gid, pseudonym] }, others: results };
  }
  const base = isIndexed(scope) ? inScope(scope) : EVERY;
  if (gid === undefined)
    return {
      indexed: base,
      others: isIndexed(scope) ? results.filter((each) => !own.includes(each)) : results,
    };
  if (result === undefined || result === 'ok')
    return { indexed: base, others: [{ sql: 'gid = ?', values: [gid] }, ...results] };
  return {
    indexed: { sql: `gid = ? AND ${REFUSED}`, values: [gid] },
    others: result === 'refused' ? own : results,
  };
}

const REFUSED = "result <> 'ok'";
const EVERY: Condition = { sql: 'true', values: [] };

const resultIs = (result: string): Condition =>
  result === 'refused'
    ? { sql: `${REFUSED} AND result <> '${ABANDONED}'`, values: [] }
    : { sql: 'result = ?', values: [result] };

/** Refusals of a group that nobody had admitted; none if it is somebody's who is not in the scope. Newest first. */
export function knocksOf(db: Database, scope: Scope, gid: Uint8Array, most: number): Handshake[] {
  const owner = groupOwner(db, gid);
  if (owner !== HOST && !scope.everything && owner !== scope.owner) return [];
  const rows = prepare(
    db,
    `SELECT * FROM handshake WHERE gid = ? AND ${REFUSED} AND result = 'fabric.group-not-admitted' ORDER BY id DESC LIMIT ?`,
  ).all(gid, most) as Row[];
  return handshakesOf(db, rows);
}

/**
 * Handshakes behind a number up to another, whosever they are, oldest first: the newest `most`, and of each owner that none of these is of its
 * newest one.
 */
export function handshakesBetween(db: Database, after: number, upTo: number, most: number): Owned[] {
  if (upTo <= after) return [];
  const rows = prepare(db, 'SELECT * FROM handshake WHERE id > ? AND id <= ? ORDER BY id DESC LIMIT ?').all(
    after,
    upTo,
    most,
  ) as Row[];
  const shown = new Set(rows.map(({ owner }) => owner));
  const others = rows.length < most ? [] : newestOfEach(db, after, rows.at(-1)?.id ?? after);
  const all = [...rows, ...others.filter(({ owner }) => !shown.has(owner))].sort((a, b) => a.id - b.id);
  return handshakesOf(db, all).map((handshake, at) => ({ ...handshake, owner: all[at]!.owner }));
}

/** The newest handshake of each owner behind a number and before another. */
const newestOfEach = (db: Database, after: number, before: number): Row[] =>
  prepare(
    db,
    `SELECT * FROM handshake WHERE id IN
       (SELECT max(id) FROM handshake WHERE id > ? AND id < ? GROUP BY +owner)`,
  ).all(after, before) as Row[];

/** Whose the group is; `HOST`: nobody's. */
export const groupOwner = (db: Database, gid: Uint8Array | undefined): number =>
  gid === undefined
    ? HOST
    : ((prepare(db, 'SELECT owner FROM grp WHERE gid = ?').pluck().get(gid) as number | undefined) ?? HOST);

/** How often old refusals are looked for: once in so many new ones. */
const TIDY_EVERY = 1_000;

/** Appends refusals, and keeps those that prove nothing only among the newest `kept` handshakes: anybody can cause any number of them. */
export function refusalLog(db: Database, kept: number): { append(row: Owned, unlisted: number): void } {
  let appended = 0;
  return {
    append(row, unlisted) {
      recordHandshake(db, row);
      const { gid, pseudonym } = row;
      if (gid !== undefined && pseudonym !== undefined) trimMember(db, row.at, { gid, pseudonym });
      if (unlisted > 0) {
        countHandshakes(db, { ...row, times: unlisted }, provenMember(row));
        tally(db, row, unlisted);
      }
      if (appended++ % TIDY_EVERY !== 0) return;
      trimUnproven(db, row.at, kept);
      trimTallies(db, row.at);
    },
  };
}

function provenMember(row: Handshake) {
  const { gid, pseudonym } = row;
  return isOfChip(row) && gid !== undefined && pseudonym !== undefined ? { gid, pseudonym } : undefined;
}
