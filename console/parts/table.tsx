import type { ComponentChildren } from 'preact';
import { hrefOf, type Route } from '../app/address.ts';
import type { Query } from '../app/query.ts';
import { go } from '../app/route.ts';
import { me } from '../app/session.ts';
import { ProblemBox } from './problem.tsx';

export interface Column<Row> {
  readonly name: string;
  readonly cell: (row: Row) => ComponentChildren;
  /** `main`: what a row is called, its first line on a phone; `number`: aligned right; `extra`: not on a phone. */
  readonly kind?: 'main' | 'number' | 'extra';
}

/** Whose a row is, for who sees what is of several owners; `nobody` stands for none of them. */
export const ownerColumn = <Row extends { readonly owner: string | null }>(
  nobody = 'the host',
): readonly Column<Row>[] =>
  me.value?.severalOwners
    ? [{ name: 'Owner', cell: ({ owner }) => owner ?? <span class="quiet">{nobody}</span> }]
    : [];

/** Rows of a page of a list. */
export const PAGE_ROWS = 50;

/**
 * A page of a list with the way to the next one. What is asked for stands in the address: `route` is the page's own, whose query has the
 * filters and the cursor `after`.
 */
export function ListTable<Row>({
  caption,
  query,
  columns,
  keyOf,
  route,
  empty,
}: {
  readonly caption: string;
  readonly query: Query<{ readonly rows: readonly Row[]; readonly next: string | undefined }>;
  readonly columns: readonly Column<Row>[];
  readonly keyOf: (row: Row) => string | number;
  readonly route: Route;
  readonly empty: ComponentChildren;
}) {
  const { data, problem, again } = query;
  if (data === undefined)
    return problem === undefined ? <Waiting /> : <ProblemBox problem={problem} again={again} />;
  return (
    <>
      {problem !== undefined && <ProblemBox problem={problem} again={again} />}
      {data.rows.length === 0 ? (
        <div class="empty">
          {data.next === undefined ? empty : <p>None so far: the search goes on with the next page.</p>}
        </div>
      ) : (
        <Rows {...{ caption, columns, keyOf, rows: data.rows }} />
      )}
      <Pager route={route} next={data.next} />
    </>
  );
}

/** A table. */
export function Rows<Row>({
  caption,
  rows,
  columns,
  keyOf,
}: {
  readonly caption: string;
  readonly rows: readonly Row[];
  readonly columns: readonly Column<Row>[];
  readonly keyOf: (row: Row) => string | number;
}) {
  return (
    <table class="rows">
      <caption class="hidden">{caption}</caption>
      <thead>
        <tr>
          {columns.map(({ name, kind }) => (
            <th key={name} scope="col" class={kind}>
              {name}
            </th>
          ))}
        </tr>
      </thead>
      <tbody>
        {rows.map((row) => (
          <tr key={keyOf(row)}>
            {columns.map(({ name, kind, cell }) => (
              <td key={name} class={kind} data-name={name}>
                {cell(row)}
              </td>
            ))}
          </tr>
        ))}
      </tbody>
    </table>
  );
}

/** Grey rows, of the height of what comes; seen only if that takes longer than usual. */
function Waiting() {
  return (
    <div class="waiting" role="status">
      <span class="hidden">Loading</span>
      {[1, 2, 3, 4].map((n) => (
        <div key={n} />
      ))}
    </div>
  );
}

function Pager({ route, next }: { readonly route: Route; readonly next: string | undefined }) {
  const after = route.query.get('after');
  if (after === null && next === undefined) return null;
  const at = (cursor: string | undefined): string =>
    hrefOf(route.path, { ...Object.fromEntries(route.query), after: cursor });
  return (
    <nav class="pager" aria-label="Pages">
      <button type="button" disabled={after === null} onClick={() => go(at(undefined))}>
        First page
      </button>
      <button type="button" disabled={next === undefined} onClick={() => go(at(next))}>
        Next {PAGE_ROWS}
      </button>
    </nav>
  );
}
