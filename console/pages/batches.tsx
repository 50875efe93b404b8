import type { GroupRow } from '../../fabric/operations/views/groups.ts';
import { run } from '../api/operations.ts';
import { hrefOf, type Route } from '../app/address.ts';
import { useQuery } from '../app/query.ts';
import { may } from '../app/session.ts';
import { outWords, shortGid } from '../app/words.ts';
import { ArrivalBar } from '../charts/arrival-bar.tsx';
import { Standing } from '../parts/badge.tsx';
import { Export } from '../parts/export.tsx';
import { GroupLink } from '../parts/link.tsx';
import { Page } from '../parts/page.tsx';
import { Search } from '../parts/search.tsx';
import { type Column, ListTable, ownerColumn, PAGE_ROWS } from '../parts/table.tsx';
import { When } from '../parts/when.tsx';
import { BatchPage } from './batch.tsx';
import { RosterPage } from './roster.tsx';

const COLUMNS: readonly Column<GroupRow>[] = [
  { name: 'Batch', kind: 'main', cell: ({ gid, name }) => <GroupLink gid={gid} name={name} /> },
  {
    name: 'Arrived',
    cell: ({ devices, announced }) => <ArrivalBar arrived={devices} announced={announced} />,
  },
  {
    name: 'Kept out',
    kind: 'extra',
    cell: (row) => outWords(row).join(', ') || <span class="quiet">none</span>,
  },
  { name: 'State', cell: ({ status }) => <Standing standing={status} /> },
  { name: 'Network', cell: ({ network }) => network },
  { name: 'Id', kind: 'extra', cell: ({ gid }) => <code>{shortGid(gid)}</code> },
  { name: 'Admitted', cell: ({ created }) => <When at={created} /> },
];

/** All batches, or one of them. */
export function Batches({ route }: { readonly route: Route }) {
  const [, gid, part] = route.path;
  if (gid === undefined) return <BatchList route={route} />;
  return part === 'roster' ? <RosterPage gid={gid} route={route} /> : <BatchPage gid={gid} />;
}

function BatchList({ route }: { readonly route: Route }) {
  const after = route.query.get('after') ?? undefined;
  const q = route.query.get('q') ?? undefined;
  const query = useQuery(`batches ${q} ${after}`, ['group', 'device'], () =>
    run('group-list', { limit: PAGE_ROWS, after, q }),
  );
  return (
    <Page
      title="Batches"
      sub="A batch is one label: a group of devices that leave the factory together."
      actions={
        <>
          <Export list="group-list" filter={{ q }} />
          {may('groups.claim') && (
            <a class="button primary" href={hrefOf(['claim'])}>
              Scan a label
            </a>
          )}
        </>
      }
    >
      <Search route={route} label="Three characters of a name or an id" />
      <ListTable
        caption="Batches"
        query={query}
        columns={[...COLUMNS, ...ownerColumn<GroupRow>()]}
        keyOf={({ gid }) => gid}
        route={route}
        empty={
          q === undefined ? (
            <p>
              No batch is admitted yet. <a href={hrefOf(['claim'])}>Scan your first label</a>: it is on the
              box.
            </p>
          ) : (
            <p>
              No batch has that in its name or id. <a href={hrefOf(['batches'])}>Show all</a>
            </p>
          )
        }
      />
    </Page>
  );
}
