import { useState } from 'preact/hooks';
import type { NetworkView } from '../../fabric/operations/views/groups.ts';
import { run, type ViewOf } from '../api/operations.ts';
import { hrefOf, type Route } from '../app/address.ts';
import { useQuery } from '../app/query.ts';
import { may, me } from '../app/session.ts';
import { Copyable } from '../parts/copy.tsx';
import { Export } from '../parts/export.tsx';
import { TextField } from '../parts/field.tsx';
import { Page } from '../parts/page.tsx';
import { Search } from '../parts/search.tsx';
import { Sheet } from '../parts/sheet.tsx';
import { type Column, ListTable, ownerColumn, PAGE_ROWS } from '../parts/table.tsx';
import { When } from '../parts/when.tsx';

/** The networks, each a /64 from which devices get their addresses. */
export function Networks({ route }: { readonly route: Route }) {
  const after = route.query.get('after') ?? undefined;
  const q = route.query.get('q') ?? undefined;
  const query = useQuery(`networks ${q} ${after}`, ['network', 'audit'], () =>
    run('network-list', { limit: PAGE_ROWS, after, q }),
  );
  const lent = useQuery('prefixes', ['audit', 'network'], () => run('prefix-list', {})).data;
  const [asked, ask] = useState<
    'new' | { readonly what: 'rename' | 'zone' | 'resident' | 'remove'; readonly network: NetworkView }
  >();
  const columns: readonly Column<NetworkView>[] = [
    {
      name: 'Network',
      kind: 'main',
      cell: ({ name, prefix }) => <a href={hrefOf(['devices'], { network: prefix })}>{name || prefix}</a>,
    },
    { name: 'Prefix', cell: ({ prefix }) => <Copyable text={prefix} /> },
    ...ownerColumn<NetworkView>(),
    { name: 'Names in DNS', cell: ({ zone }) => (zone === null ? '–' : <Domain name={zone} />) },
    {
      name: 'Takes',
      cell: ({ residentOnly }) => (residentOnly ? 'resident keys only' : 'any'),
    },
    { name: 'This host', cell: ({ host }) => <Copyable text={host} /> },
    { name: 'Added', cell: ({ created }) => <When at={created} /> },
    {
      name: 'Prefixes behind devices',
      cell: ({ prefix, pool }) => <a href={hrefOf(['prefixes', prefix])}>{pool ?? 'none'}</a>,
    },
    ...(may('rules.read')
      ? [
          {
            name: 'Rules',
            cell: ({ prefix }: NetworkView) => <a href={hrefOf(['rules', prefix])}>Who reaches whom</a>,
          },
        ]
      : []),
    ...(may('networks.write')
      ? [
          {
            name: 'Actions',
            cell: (network: NetworkView) => (
              // One item beside its name on a phone, so that its lines break.
              <span>
                <button type="button" class="link" onClick={() => ask({ what: 'rename', network })}>
                  Rename
                </button>{' '}
                <button type="button" class="link" onClick={() => ask({ what: 'zone', network })}>
                  Names
                </button>{' '}
                <button type="button" class="link" onClick={() => ask({ what: 'resident', network })}>
                  Keys
                </button>{' '}
                <button type="button" class="link" onClick={() => ask({ what: 'remove', network })}>
                  Remove
                </button>
              </span>
            ),
          },
        ]
      : []),
  ];
  return (
    <Page
      title="Networks"
      sub="Devices of one network reach each other, those of two do not, unless rules say otherwise."
      actions={
        <>
          <Export list="network-list" filter={{ q }} />
          {may('networks.write') && (
            <button type="button" class="primary" onClick={() => ask('new')}>
              Add a network
            </button>
          )}
        </>
      }
    >
      {lent !== undefined && me.value?.owner !== null && <Lent lent={lent} />}
      <Search route={route} label="Three characters of a name or a prefix" />
      <ListTable
        caption="Networks"
        query={query}
        columns={columns}
        keyOf={({ prefix }) => prefix}
        route={route}
        empty={
          q === undefined ? (
            <p>
              No network yet. {may('networks.write') ? 'Add one' : 'Ask an owner to add one'}: a batch is tied
              to a network when its label is scanned.
            </p>
          ) : (
            <p>
              No network has that in its name or prefix. <a href={hrefOf(['networks'])}>Show all</a>
            </p>
          )
        }
      />
      {asked === 'new' && <AddSheet lent={lent} close={() => ask(undefined)} done={query.again} />}
      {typeof asked === 'object' && asked.what === 'rename' && (
        <RenameSheet network={asked.network} close={() => ask(undefined)} done={query.again} />
      )}
      {typeof asked === 'object' && asked.what === 'zone' && (
        <ZoneSheet network={asked.network} close={() => ask(undefined)} done={query.again} />
      )}
      {typeof asked === 'object' && asked.what === 'resident' && (
        <ResidentSheet network={asked.network} close={() => ask(undefined)} done={query.again} />
      )}
      {typeof asked === 'object' && asked.what === 'remove' && (
        <RemoveSheet network={asked.network} close={() => ask(undefined)} done={query.again} />
      )}
    </Page>
  );
}

/** It breaks behind a dot alone. */
const Domain = ({ name }: { readonly name: string }) => (
  <code class="domain">
    {name.split('.').flatMap((label, i) => (i === 0 ? [label] : ['.', <wbr key={i} />, label]))}
  </code>
);

interface SheetProps {
  readonly close: () => void;
  readonly done: () => void;
}

/** Where the owner that is shown may add networks. */
function Lent({ lent: { prefixes, anywhere } }: { readonly lent: ViewOf<'prefix-list'> }) {
  if (anywhere) return null;
  if (prefixes.length === 0)
    return (
      <p class="quiet">
        Nothing was lent to this owner yet. Whoever runs the fabric does that; until then no network is added.
      </p>
    );
  return (
    <p class="quiet">
      Lent to this owner, for its networks:{' '}
      {prefixes.map((prefix) => (
        <span key={prefix}>
          <Copyable text={prefix} />{' '}
        </span>
      ))}
    </p>
  );
}

/** A /64 in a prefix, which may be free. */
function exampleIn(prefix: string): string {
  const [address = ''] = prefix.split('/');
  const groups = address.replace(/::$/, '').split(':');
  return groups.length > 3 || prefix.endsWith('/64')
    ? `${address}/64`
    : `${[...groups, '0', '0'].slice(0, 3).join(':')}:1::/64`;
}

function AddSheet({ lent, close, done }: SheetProps & { readonly lent: ViewOf<'prefix-list'> | undefined }) {
  const [name, setName] = useState('');
  const [prefix, setPrefix] = useState('');
  const own = lent?.prefixes ?? [];
  const act = async (): Promise<void> => {
    await run('network-add', { prefix, name });
    done();
  };
  return (
    <Sheet title="Add a network" verb="Add" act={act} close={close}>
      <TextField label="Name" value={name} change={setName} required maxLength={60} />
      <TextField
        label="Prefix"
        value={prefix}
        change={setPrefix}
        required
        maxLength={64}
        placeholder={own[0] === undefined ? 'fd00:8f80:8000:1::/64' : exampleIn(own[0])}
        hint={
          own.length === 0
            ? 'A /64 of your own: unique local (fd00::/8) or one that is routed to this host.'
            : `A /64 in what is lent: ${own.slice(0, 4).join(', ')}${own.length > 4 ? ' …' : '.'}`
        }
      />
    </Sheet>
  );
}

function RenameSheet({ network, close, done }: SheetProps & { readonly network: NetworkView }) {
  const [name, setName] = useState(network.name);
  const act = async (): Promise<void> => {
    await run('network-rename', { prefix: network.prefix, name });
    done();
  };
  return (
    <Sheet title="Rename the network" verb="Rename" act={act} close={close}>
      <p>
        <code>{network.prefix}</code>
      </p>
      <TextField label="Name" value={name} change={setName} required maxLength={60} />
    </Sheet>
  );
}

function ZoneSheet({ network, close, done }: SheetProps & { readonly network: NetworkView }) {
  const [zone, setZone] = useState(network.zone ?? '');
  const act = async (): Promise<void> => {
    await run('network-zone', { prefix: network.prefix, zone: zone.trim() });
    done();
  };
  return (
    <Sheet title="Names in DNS" verb="Save" act={act} close={close}>
      <p>
        A device called <code>pump-7</code> is found as <code>pump-7.{zone.trim() || 'plant.internal'}</code>{' '}
        by the others of this network. Whoever runs the host decides whether the fabric answers.
      </p>
      <TextField
        label="Domain"
        value={zone}
        change={setZone}
        maxLength={101}
        placeholder="plant.internal"
        hint="Empty: its devices have no names in DNS."
      />
    </Sheet>
  );
}

function ResidentSheet({ network, close, done }: SheetProps & { readonly network: NetworkView }) {
  const required = !network.residentOnly;
  const act = async (): Promise<void> => {
    await run('network-takes', { prefix: network.prefix, takes: required ? 'resident' : 'any' });
    done();
  };
  return (
    <Sheet
      title={required ? 'Take resident keys only?' : 'Take any device?'}
      verb={required ? 'Take these only' : 'Take any'}
      danger
      act={act}
      close={close}
    >
      <p>
        <b>{network.name}</b> <code>{network.prefix}</code>
      </p>
      <p>
        {required
          ? 'Only devices come in whose roster says that their chips keep their keys: batches without a roster, chips without ECDAA and machines with certificates are refused. Those that are in keep their tunnels, and are refused when they provision again.'
          : 'Devices come in whatever keeps their keys: whoever has copied one from a program can be one.'}
      </p>
    </Sheet>
  );
}

function RemoveSheet({ network, close, done }: SheetProps & { readonly network: NetworkView }) {
  const act = async (): Promise<void> => {
    await run('network-remove', { prefix: network.prefix });
    done();
  };
  return (
    <Sheet title="Remove the network?" verb="Remove" danger act={act} close={close}>
      <p>
        <b>{network.name}</b> <code>{network.prefix}</code>
      </p>
      <p>This host gives up its address in it. A network that has batches stays.</p>
    </Sheet>
  );
}
