import { useState } from 'preact/hooks';
import type { DeviceView } from '../../fabric/operations/views/devices.ts';
import { type InputOf, run } from '../api/operations.ts';
import { hrefOf, type Route } from '../app/address.ts';
import { useQuery } from '../app/query.ts';
import { may } from '../app/session.ts';
import { placeWords } from '../app/words.ts';
import { Presence, Standing } from '../parts/badge.tsx';
import { Export } from '../parts/export.tsx';
import { type FilterChoice, Filters } from '../parts/filters.tsx';
import { Address, DeviceLink, GroupLink } from '../parts/link.tsx';
import { Page } from '../parts/page.tsx';
import { Search } from '../parts/search.tsx';
import { type Column, ListTable, ownerColumn, PAGE_ROWS } from '../parts/table.tsx';
import { When } from '../parts/when.tsx';
import { BulkSheet } from './bulk-sheet.tsx';
import { DevicePage } from './device.tsx';

const COLUMNS: readonly Column<DeviceView>[] = [
  {
    name: 'Device',
    kind: 'main',
    cell: ({ address, name, note }) => (
      <>
        <DeviceLink address={address} name={name} />
        {name !== null && (
          <div class="under">
            <Address address={address} />
          </div>
        )}
        {note !== null && <div class="under">{note}</div>}
      </>
    ),
  },
  { name: 'Tunnel', cell: (device) => <Presence device={device} /> },
  { name: 'Standing', cell: (device) => <Standing standing={device.standing} /> },
  { name: 'Batch', cell: (device) => <GroupLink gid={device.gid} name={device.group} /> },
  { name: 'Place', kind: 'extra', cell: (device) => placeWords(device.country) },
  { name: 'Last handshake', cell: (device) => <When at={device.lastHandshake.at} /> },
  {
    name: 'Agent',
    kind: 'extra',
    cell: (device) => device.agent?.version ?? <span class="quiet">says nothing</span>,
  },
  {
    name: 'Last failure',
    kind: 'extra',
    cell: ({ agent }) =>
      agent?.lastFailure ? <code>{agent.lastFailure.code}</code> : <span class="quiet">none</span>,
  },
];

const FILTERS = [
  {
    field: 'standing',
    label: 'Standing',
    choices: [
      ['', 'all'],
      ['active', 'active'],
      ['suspended', 'suspended'],
      ['evicted', 'evicted'],
      ['banned', 'banned'],
      ['retired', 'retired'],
    ],
  },
  {
    field: 'tunnel',
    label: 'Tunnel',
    choices: [
      ['', 'all'],
      ['open', 'has one'],
      ['ended', 'had one'],
      ['never', 'never had one'],
      ['offline', 'has none'],
    ],
  },
  {
    field: 'kind',
    label: 'Proves itself by',
    choices: [
      ['', 'all'],
      ['tpm', 'its TPM'],
      ['pki', 'a certificate of a CA'],
      ['key', 'a registered key'],
    ],
  },
] as const;

const FIELDS = ['gid', 'network', 'kind', 'standing', 'tunnel', 'failure', 'node', 'roster', 'q'] as const;

/** All that a registry may have. */
const MOST_NODES = 100;

/** By node, if there are any, for whoever may see them. */
function useNodeFilter(): readonly FilterChoice[] {
  const { data } = useQuery('names of nodes', ['node'], async () =>
    may('nodes.read') ? (await run('node-list', { limit: MOST_NODES })).rows : [],
  );
  if (data === undefined || data.length === 0) return [];
  const names = data.map(({ name }) => [name, name] as const);
  return [{ field: 'node', label: 'Node', choices: [['', 'all'], ...names] }];
}

/** All devices, or one of them. */
export function Devices({ route }: { readonly route: Route }) {
  const address = route.path[1];
  return address === undefined ? <DeviceList route={route} /> : <DevicePage address={address} />;
}

function DeviceList({ route }: { readonly route: Route }) {
  // What the address holds is text; the fabric refuses what is no such word.
  const filter = Object.fromEntries(
    FIELDS.flatMap((field) => (route.query.get(field) ? [[field, route.query.get(field)]] : [])),
  ) as Omit<InputOf<'device-list'>, 'limit' | 'after'>;
  const { q, ...narrowed } = filter;
  const after = route.query.get('after') ?? undefined;
  const query = useQuery(`devices ${route.query}`, ['device', 'group'], () =>
    run('device-list', { ...filter, after, limit: PAGE_ROWS }),
  );
  const filtered = Object.keys(filter).length > 0;
  const byNode = useNodeFilter();
  const [asked, ask] = useState(false);
  const [done, setDone] = useState<string>();
  return (
    <Page
      title="Devices"
      sub="Each is one chip that has proven its batch. No page knows which chip it is."
      actions={
        <>
          {q === undefined && filtered && may('devices.standing') && (
            <button type="button" onClick={() => ask(true)}>
              Change all of these
            </button>
          )}
          <Export list="device-list" filter={filter} />
        </>
      }
    >
      {done !== undefined && (
        <p class="note" role="status">
          {done}
        </p>
      )}
      <div class="bar">
        <Search route={route} label="Three characters of a name, a note, a batch or an address" />
        <Filters route={route} filters={[...FILTERS, ...byNode]} />
      </div>
      <ListTable
        caption="Devices"
        query={query}
        columns={[...COLUMNS, ...ownerColumn<DeviceView>()]}
        keyOf={(device) => device.address}
        route={route}
        empty={
          filtered ? (
            <p>
              No device is like that. <a href={hrefOf(['devices'])}>All devices</a>
            </p>
          ) : (
            <p>
              No device has come yet. {may('groups.claim') && <a href={hrefOf(['claim'])}>Scan a label</a>} A
              device that is switched on then appears here by itself, within seconds.
            </p>
          )
        }
      />
      {asked && (
        <BulkSheet
          filter={narrowed}
          close={() => ask(false)}
          done={(text) => {
            setDone(text);
            query.again();
          }}
        />
      )}
    </Page>
  );
}
