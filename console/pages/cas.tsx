import { useState } from 'preact/hooks';
import type { AnchorView } from '../../fabric/operations/views/pki.ts';
import { run } from '../api/operations.ts';
import { hrefOf, type Route } from '../app/address.ts';
import { useQuery } from '../app/query.ts';
import { go } from '../app/route.ts';
import { may } from '../app/session.ts';
import { AddSheet } from '../cas/ca-add.tsx';
import { Freshness } from '../cas/ca-lists.tsx';
import { Page } from '../parts/page.tsx';
import { type Column, ListTable, ownerColumn } from '../parts/table.tsx';
import { When } from '../parts/when.tsx';
import { CaPage } from './ca.tsx';

/** The CAs whose machines are devices, or one of them. */
export function Cas({ route }: { readonly route: Route }) {
  const id = route.path[1];
  return id === undefined ? <CaList route={route} /> : <CaPage id={Number(id)} />;
}

const COLUMNS: readonly Column<AnchorView>[] = [
  {
    name: 'CA',
    kind: 'main',
    cell: ({ id, name, subject }) => (
      <>
        <a href={hrefOf(['cas', String(id)])}>{name}</a>
        <div class="under">{subject}</div>
      </>
    ),
  },
  { name: 'Admits', cell: ({ admits }) => admitsWords(admits) },
  { name: 'Networks', cell: ({ networks }) => <Networks networks={networks} /> },
  { name: 'Listed', kind: 'number', cell: ({ listed }) => listed.toLocaleString('en') },
  { name: 'Came', kind: 'number', cell: ({ devices }) => devices.toLocaleString('en') },
  { name: 'Revoked', kind: 'number', cell: ({ revoked }) => revoked.toLocaleString('en') },
  { name: 'Lists of revoked', cell: ({ lists }) => <Freshness lists={lists} /> },
  { name: 'Ends', cell: ({ notAfter }) => <When at={notAfter} /> },
];

/** Whom a CA admits, for a cell. */
export const admitsWords = (admits: AnchorView['admits']): string =>
  admits === 'listed' ? 'who is listed' : 'anybody it knows';

/** One below the other: a prefix is not to be broken. */
const Networks = ({ networks }: Pick<AnchorView, 'networks'>) => (
  <>
    {networks.map((prefix) => (
      <div key={prefix}>
        <code>{prefix}</code>
      </div>
    ))}
  </>
);

function CaList({ route }: { readonly route: Route }) {
  const query = useQuery('cas', ['audit', 'device'], async () => ({
    ...(await run('pki-list', {})),
    next: undefined,
  }));
  const [asks, ask] = useState(false);
  return (
    <Page
      title="CAs"
      sub="Machines without a TPM of a batch may come in with a certificate of a CA that you have."
      actions={
        may('pki.write') && (
          <button type="button" class="primary" onClick={() => ask(true)}>
            Add a CA
          </button>
        )
      }
    >
      <ListTable
        caption="CAs"
        query={query}
        columns={[...COLUMNS, ...ownerColumn<AnchorView>()]}
        keyOf={({ id }) => id}
        route={route}
        empty={<p>No CA. You need one only if your machines have certificates already.</p>}
      />
      {asks && (
        <AddSheet
          close={() => ask(false)}
          done={({ id }) => {
            query.again();
            go(hrefOf(['cas', String(id)]));
          }}
        />
      )}
    </Page>
  );
}
