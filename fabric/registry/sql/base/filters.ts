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

/** The ids of the rows that are looked at; `order` is that of the list. */
export const windowSql = (
  table: string,
  indexed: Condition,
  cursor: string,
  order: string,
  { key = 'id', size = WINDOW }: { readonly key?: string; readonly size?: number } = {},
): string =>
  `SELECT ${key} AS id FROM ${table} WHERE ${all([indexed, { sql: cursor, values: [] }])} ORDER BY ${order} LIMIT ${size}`;

/** The last row that was looked at; undefined if there are no more behind it. */
export function lastOfWindow(
  db: Database,
  window: string,
  values: readonly unknown[],
  size = WINDOW,
): number | undefined {
  const row = prepare(db, `${window} OFFSET ${size - 1}`.replace(`LIMIT ${size}`, 'LIMIT 1')).get(
    ...values,
  ) as { id: number } | undefined;
  return row?.id;
}

/** A list whose newest rows come first: `key` ascends with time, `indexed` is what one index answers. */
interface Narrowed {
  readonly table: string;
  readonly key: string;
  readonly indexed: Condition;
  readonly others: readonly Condition[];
}

/** Up to `limit + 1` rows behind `before`, newest first. `seen`: how far was looked, if that was not to the end. */
export function newestFirst<Row>(
  db: Database,
  { table, key, indexed, others }: Narrowed,
  { before, limit }: { readonly before: number; readonly limit: number },
): { readonly rows: Row[]; readonly seen: number | undefined } {
  const cursor = `${key} < ?`;
  const order = `${key} DESC`;
  const window = windowSql(table, indexed, cursor, order, { key });
  const rows = prepare(
    db,
    others.length === 0
      ? `SELECT * FROM ${table} WHERE ${all([indexed, { sql: cursor, values: [] }])} ORDER BY ${order} LIMIT ?`
      : `SELECT * FROM ${table} NOT INDEXED WHERE ${key} IN (${window}) AND ${all(others)} ORDER BY ${order} LIMIT ?`,
  ).all(...indexed.values, before, ...others.flatMap(({ values }) => values), limit + 1) as Row[];
  const narrowed = others.length > 0 && rows.length <= limit;
  return { rows, seen: narrowed ? lastOfWindow(db, window, [...indexed.values, before]) : undefined };
}
