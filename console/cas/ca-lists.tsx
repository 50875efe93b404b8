import type { AnchorView } from '../../fabric/operations/views/pki.ts';
import { now } from '../app/time.ts';
import { Rows } from '../parts/table.tsx';
import { When } from '../parts/when.tsx';

type Lists = AnchorView['lists'];

const isOverdue = ({ next }: Lists[number]): boolean => next !== null && Date.parse(next) < now.value;

/** How new the lists of revoked certificates are: that which is due first counts. */
export function Freshness({ lists }: { readonly lists: Lists }) {
  if (lists.length === 0) return <span class="quiet">none</span>;
  const dates = lists.flatMap(({ next }) => (next === null ? [] : [next])).sort();
  if (dates[0] === undefined)
    return (
      <>
        of <When at={lists[0]!.issued} />
      </>
    );
  if (lists.some(isOverdue))
    return (
      <span class="bad">
        overdue: due <When at={dates[0]} />
      </span>
    );
  return (
    <>
      next <When at={dates[0]} />
    </>
  );
}

/** The lists that count, one of each issuer. */
export function Lists({ lists }: { readonly lists: Lists }) {
  if (lists.length === 0)
    return (
      <p class="quiet">None was given: of its certificates only those are refused that are revoked here.</p>
    );
  return (
    <Rows
      caption="Lists of revoked certificates"
      rows={lists}
      keyOf={({ issued, next }) => `${issued} ${next}`}
      columns={[
        { name: 'Issued', kind: 'main', cell: ({ issued }) => <When at={issued} /> },
        {
          name: 'The next one is due',
          cell: (list) => (
            <span class={isOverdue(list) ? 'bad' : ''}>
              <When at={list.next} never="not said" />
              {isOverdue(list) && ': overdue, and goes on counting'}
            </span>
          ),
        },
      ]}
    />
  );
}

/** From where they come, and whether they do. */
export function Fetched({ crl }: Pick<AnchorView, 'crl'>) {
  if (crl === null) return null;
  const { from, fetched, due, error } = crl;
  return (
    <>
      <p>
        Fetched from <code>{from}</code>: <When at={fetched} never="not yet" />, next <When at={due} />.
      </p>
      {error !== null && <p class="note note-warn">It could not be fetched the last time: {error}</p>}
    </>
  );
}
