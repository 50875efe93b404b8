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

/** What an owner is called, for a row that shows whose it is; nothing for what is the host's, or nobody's. */
export function ownerShown(db: Database, owner: number): { readonly ownerName?: string } {
  const name = prepare(db, 'SELECT name FROM owner WHERE id = ?').pluck().get(owner) as string | undefined;
  return name === undefined ? {} : { ownerName: name };
}
