import { type Database, prepare } from './statements.ts';

/**
 * Narrowed lists: what one index answers finds rows, and the other conditions are looked at in a bounded number of them: a filter that few rows
 * fulfil costs no call more than that.
 */

/** A condition on a row, with its parameters. */
export interface Condition {
  readonly sql: string;
  readonly values: readonly unknown[];
}

/** Rows that are looked at in one call: some milliseconds. */
const WINDOW = 5_000;

export const all = (conditions: readonly Condition[]): string =>
  conditions.map(({ sql }) => `(${sql})`).join(' AND ');

/** A table, and how a list of its rows goes on behind a cursor: `key` is in the order of the list. */
export interface Listed {
  readonly table: string;
  readonly key: string;
  readonly descends?: boolean;
  /** What one index answers. */
  readonly indexed: Condition;
  /** Rows that are looked at, if those are not as many as elsewhere. */
  readonly size?: number;
}

const orderOf = ({ key, descends = false }: Listed): string => `ORDER BY ${key}${descends ? ' DESC' : ''}`;

/** The rows behind the cursor, which is the last parameter. */
const behind = ({ table, key, descends = false, indexed }: Listed, columns: string): string =>
  `SELECT ${columns} FROM ${table} WHERE ${all([indexed, { sql: `${key} ${descends ? '<' : '>'} ?`, values: [] }])}`;

/**
 * Up to so many rows (the last parameter) behind the cursor (before the parameters of `others`) that fulfil the other conditions, too. Those that are looked
 * at are a table of their own: they are read one after the other until there are enough, and no planner finds another way, as through all rows that
 * fulfil the other conditions.
 */
export function listSql(listed: Listed, columns: string, others: readonly Condition[]): string {
  const order = orderOf(listed);
  if (others.length === 0) return `${behind(listed, columns)} ${order} LIMIT ?`;
  const looked = `${behind(listed, '*')} ${order} LIMIT ${listed.size ?? WINDOW}`;
  return `SELECT ${columns} FROM (${looked}) AS ${listed.table} WHERE ${all(others)} ${order} LIMIT ?`;
}

/** The last row that was looked at; undefined if there are no more behind it. `values` are those of `indexed`, and the cursor. */
export function lastLookedAt(db: Database, listed: Listed, values: readonly unknown[]): number | undefined {
  const offset = (listed.size ?? WINDOW) - 1;
  return prepare(db, `${behind(listed, listed.key)} ${orderOf(listed)} LIMIT 1 OFFSET ${offset}`)
    .pluck()
    .get(...values) as number | undefined;
}

/** Up to `limit + 1` rows behind `before`, newest first: `key` ascends with time. `seen`: how far was looked, if that was not to the end. */
export function newestFirst<Row>(
  db: Database,
  { others, ...wanted }: Omit<Listed, 'descends'> & { readonly others: readonly Condition[] },
  { before, limit }: { readonly before: number; readonly limit: number },
): { readonly rows: Row[]; readonly seen: number | undefined } {
  const listed: Listed = { ...wanted, descends: true };
  const place = [...listed.indexed.values, before];
  const looked = others.flatMap(({ values }) => values);
  const rows = prepare(db, listSql(listed, '*', others)).all(...place, ...looked, limit + 1) as Row[];
  const narrowed = others.length > 0 && rows.length <= limit;
  return { rows, seen: narrowed ? lastLookedAt(db, listed, place) : undefined };
}
