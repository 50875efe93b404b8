import type { Scope } from '../../../access/scope.ts';
import type { Condition } from './filters.ts';
import { type Database, prepare } from './statements.ts';

/** What is in a scope, as a condition on rows; `column` holds the number of the owner. */
export function inScope({ owner, everything }: Scope, column = 'owner'): Condition {
  if (everything) return { sql: 'true', values: [] };
  // The second half is what the partial indexes of such rows say; those of the first owner have none, so that its admissions write none.
  const indexed = isIndexed({ owner, everything }) ? ` AND ${column} > 1` : '';
  return { sql: `${column} = ?${indexed}`, values: [owner] };
}

/** Whether an index finds what is in the scope: else it is looked at in a bounded number of rows. */
export const isIndexed = ({ owner, everything }: Scope): boolean => !everything && owner > 1;

/** A list of numbers, as a parameter. */
export const NUMBERS = '(SELECT CAST(value AS BIGINT) FROM json_each(?))';
export const numbers = (ids: Iterable<number>): string => JSON.stringify([...new Set(ids)]);

/** What owners are called, for rows that show whose they are; nothing for what is the host's, or nobody's. */
export function ownersShown(
  db: Database,
  rows: readonly { readonly owner: number }[],
): (owner: number) => { readonly ownerName?: string } {
  const found = prepare(db, `SELECT id, name FROM owner WHERE id IN ${NUMBERS}`).all(
    numbers(rows.map(({ owner }) => owner)),
  ) as { id: number; name: string }[];
  const names = new Map(found.map(({ id, name }) => [id, name]));
  return (owner) => {
    const name = names.get(owner);
    return name === undefined ? {} : { ownerName: name };
  };
}
