import type { Database } from 'better-sqlite3';
import { prepare } from './statements.ts';

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
  key = 'id',
): string =>
  `SELECT ${key} AS id FROM ${table} WHERE ${all([indexed, { sql: cursor, values: [] }])} ORDER BY ${order} LIMIT ${WINDOW}`;

/** The last row that was looked at; undefined if there are no more behind it. */
export function lastOfWindow(db: Database, window: string, values: readonly unknown[]): number | undefined {
  const row = prepare(db, `${window} OFFSET ${WINDOW - 1}`.replace(`LIMIT ${WINDOW}`, 'LIMIT 1')).get(
    ...values,
  ) as { id: number } | undefined;
  return row?.id;
}
