import { useState } from 'preact/hooks';
import type { DelegationView } from '../../fabric/operations/views/delegations.ts';
import type { NetworkView } from '../../fabric/operations/views/groups.ts';
import { run } from '../api/operations.ts';
import { hrefOf, type Route } from '../app/address.ts';
import { useQuery } from '../app/query.ts';
import { may } from '../app/session.ts';
import { Copyable } from '../parts/copy.tsx';
import { TextField } from '../parts/field.tsx';
import { DeviceLink } from '../parts/link.tsx';
import { Page } from '../parts/page.tsx';
import { ProblemBox } from '../parts/problem.tsx';
import { Sheet } from '../parts/sheet.tsx';
import { type Column, ListTable, PAGE_ROWS } from '../parts/table.tsx';

const COLUMNS: readonly Column<DelegationView>[] = [
  { name: 'Prefix', kind: 'main', cell: ({ prefix }) => <Copyable text={prefix} /> },
  { name: 'Device', cell: (row) => <DeviceLink {...row} /> },
  {
    name: 'State',
    cell: ({ inForce }) =>
      inForce ? 'delegated' : <span class="quiet">withdrawn, and kept for the device</span>,
  },
];

/** The pool of a network, and which device has which /64 of it. */
export function Delegations({ route }: { readonly route: Route }) {
  const prefix = route.path[1] ?? '';
  const after = route.query.get('after') ?? undefined;
  const networks = useQuery(`network ${prefix}`, ['network', 'audit'], () =>
    run('network-list', { limit: PAGE_ROWS, q: prefix }),
  );
  const query = useQuery(`delegations ${prefix} ${after}`, ['network', 'group', 'device'], () =>
    run('delegation-list', { prefix, limit: PAGE_ROWS, after }),
  );
  const [asked, ask] = useState(false);
  const [done, setDone] = useState<string>();
  const network = networks.data?.rows.find((each) => each.prefix === prefix);
  const pool = network?.pool ?? null;
  return (
    <Page
      title="Prefixes"
      sub={`Each device of ${network?.name || prefix} may have a /64 of its own, for the machines behind it.`}
      actions={
        network !== undefined &&
        may('networks.write') && (
          <button type="button" class={pool === null ? 'primary' : ''} onClick={() => ask(true)}>
            {pool === null ? 'Give it a pool' : 'Change the pool'}
          </button>
        )
      }
    >
      {networks.problem !== undefined && <ProblemBox problem={networks.problem} again={networks.again} />}
      {done !== undefined && (
        <p class="note" role="status">
          {done}
        </p>
      )}
      {pool !== null && (
        <p class="quiet">
          They come out of <Copyable text={pool} />
        </p>
      )}
      <ListTable
        caption="Prefixes of devices"
        query={query}
        columns={COLUMNS}
        keyOf={(row) => row.prefix}
        route={route}
        empty={
          <p>
            {pool === null
              ? 'This network has no pool, so none can be delegated.'
              : 'No device has one. The page of a device or a batch grants them.'}
          </p>
        }
      />
      <p>
        <a href={hrefOf(['networks'])}>All networks</a>
      </p>
      {asked && network !== undefined && (
        <PoolSheet
          network={network}
          close={() => ask(false)}
          done={(text) => {
            setDone(text);
            networks.again();
            query.again();
          }}
        />
      )}
    </Page>
  );
}

function PoolSheet({
  network,
  close,
  done,
}: {
  readonly network: NetworkView;
  readonly close: () => void;
  readonly done: (text: string) => void;
}) {
  const [pool, setPool] = useState(network.pool ?? '');
  const act = async (): Promise<void> => {
    const { view, effect } = await run('network-pool', { prefix: network.prefix, pool: pool.trim() });
    done(
      view.pool === null
        ? `The network has no pool any more (${effect}).`
        : `Prefixes come out of ${view.pool} (${effect}).`,
    );
  };
  return (
    <Sheet title="Pool of prefixes" verb="Save" act={act} close={close}>
      <p>
        <b>{network.name}</b> <code>{network.prefix}</code>
      </p>
      <TextField
        label="Pool"
        value={pool}
        change={setPool}
        maxLength={64}
        placeholder="fd00:8f80:9000::/48"
        hint="A prefix of 48 to 64 bits that is no network’s. It changes only while none of its /64s is granted. Empty: none."
      />
    </Sheet>
  );
}
