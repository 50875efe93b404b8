import { equal } from '../../../protocol/bytes.ts';
import { type Database, prepare } from '../sql/base/statements.ts';
import { ownTurn } from '../turns.ts';

/** A table, as both engines have it. */
export interface Table {
  readonly name: string;
  readonly columns: readonly string[];
  /** Its primary key: rows are copied in this order. */
  readonly key: readonly string[];
}

/** One side of a copy. `write` runs what changes it, in a transaction of its own. */
export interface Side {
  readonly db: Database;
  write(work: () => void): void;
}

type Row = readonly unknown[];

/** Rows that are read, compared and written at once. */
const ROWS = 500;

/** What triggers write when devices are: copied after these, so that it is as the source has it. */
const COUNTED = ['group_size', 'arrival', 'device_country', 'device_place'];

/** All tables of a registry in SQLite, those first that others refer to. */
export function tablesOf(sqlite: Database): readonly Table[] {
  const names = prepare(
    sqlite,
    `SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%' AND name NOT LIKE 'device_text%'
     AND name <> 'migration' ORDER BY name`,
  )
    .pluck()
    .all() as string[];
  const sorted: string[] = [];
  const put = (name: string): void => {
    if (sorted.includes(name)) return;
    const others = prepare(sqlite, 'SELECT "table" FROM pragma_foreign_key_list(?)')
      .pluck()
      .all(name) as string[];
    for (const other of others) if (other !== name) put(other);
    sorted.push(name);
  };
  for (const name of names.filter((each) => !COUNTED.includes(each))) put(name);
  for (const name of COUNTED) put(name);
  return sorted.map((name) => tableOf(sqlite, name));
}

function tableOf(sqlite: Database, name: string): Table {
  const columns = prepare(sqlite, 'SELECT name, pk FROM pragma_table_info(?) ORDER BY cid').all(name) as {
    name: string;
    pk: number;
  }[];
  const key = columns.filter(({ pk }) => pk > 0).sort((one, other) => one.pk - other.pk);
  return { name, columns: columns.map((each) => each.name), key: key.map((each) => each.name) };
}

const quoted = (names: readonly string[]): string => names.map((name) => `"${name}"`).join(', ');
const marks = (count: number): string => Array.from({ length: count }, () => '?').join(', ');

/**
 * Makes a table of `to` the same as that of `from`, page by page: pages that are the same already, as of a copy that was interrupted, are read only. Calls
 * `copied` with the number of rows after each page. Returns how many rows there are, and how many were written.
 */
export async function copyTable(
  from: Database,
  to: Side,
  table: Table,
  copied: (rows: number) => void,
): Promise<{ readonly rows: number; readonly written: number }> {
  let after: Row | undefined;
  let rows = 0;
  let written = 0;
  for (;;) {
    const page = pageAfter(from, table, after);
    const last = page.length < ROWS ? undefined : keyOf(table, page.at(-1)!);
    const there = rangeOf(to.db, table, after, last);
    if (!same(page, there)) {
      to.write(() => replaceRange(to.db, table, { after, last, page }));
      written += page.length;
    }
    rows += page.length;
    copied(page.length);
    if (last === undefined) return { rows, written };
    after = last;
    await ownTurn();
  }
}

const keyOf = ({ columns, key }: Table, row: Row): Row => key.map((name) => row[columns.indexOf(name)]);

const behind = ({ key }: Table, sign: string): string => `(${quoted(key)}) ${sign} (${marks(key.length)})`;

function pageAfter(db: Database, table: Table, after: Row | undefined): Row[] {
  const where = after === undefined ? '' : ` WHERE ${behind(table, '>')}`;
  return prepare(
    db,
    `SELECT ${quoted(table.columns)} FROM ${table.name}${where} ORDER BY ${quoted(table.key)} LIMIT ${ROWS}`,
  )
    .raw()
    .all(...(after ?? [])) as Row[];
}

/** The condition on keys behind `after`, up to `last` if that is given. */
function within(
  table: Table,
  after: Row | undefined,
  last: Row | undefined,
): { sql: string; values: unknown[] } {
  const parts = [
    ...(after === undefined ? [] : [behind(table, '>')]),
    ...(last === undefined ? [] : [behind(table, '<=')]),
  ];
  return {
    sql: parts.length === 0 ? 'true' : parts.join(' AND '),
    values: [...(after ?? []), ...(last ?? [])],
  };
}

/** One row more than a page, if there are so many: then it is another one. */
function rangeOf(db: Database, table: Table, after: Row | undefined, last: Row | undefined): Row[] {
  const { sql, values } = within(table, after, last);
  return prepare(
    db,
    `SELECT ${quoted(table.columns)} FROM ${table.name} WHERE ${sql} ORDER BY ${quoted(table.key)} LIMIT ${ROWS + 1}`,
  )
    .raw()
    .all(...values) as Row[];
}

function replaceRange(
  db: Database,
  table: Table,
  { after, last, page }: { after: Row | undefined; last: Row | undefined; page: readonly Row[] },
): void {
  const { sql, values } = within(table, after, last);
  prepare(db, `DELETE FROM ${table.name} WHERE ${sql}`).run(...values);
  for (let at = 0; at < page.length; at += AT_ONCE) {
    const rows = page.slice(at, at + AT_ONCE);
    const all = rows.map(() => `(${marks(table.columns.length)})`).join(', ');
    prepare(db, `INSERT INTO ${table.name} (${quoted(table.columns)}) VALUES ${all}`).run(...rows.flat());
  }
}

/** Rows of one statement. */
const AT_ONCE = 50;

const same = (one: readonly Row[], other: readonly Row[]): boolean =>
  one.length === other.length &&
  one.every((row, at) => row.every((value, column) => sameValue(value, other[at]![column])));

const sameValue = (one: unknown, other: unknown): boolean =>
  one instanceof Uint8Array && other instanceof Uint8Array ? equal(one, other) : one === other;
