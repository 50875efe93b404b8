import { useEffect, useState } from 'preact/hooks';
import type { NodeView } from '../../fabric/operations/views/nodes.ts';
import { run } from '../api/operations.ts';
import { hrefOf, type Route } from '../app/address.ts';
import { useQuery } from '../app/query.ts';
import { may } from '../app/session.ts';
import { count } from '../app/words.ts';
import { NodeState } from '../parts/badge.tsx';
import { Page } from '../parts/page.tsx';
import { Sheet } from '../parts/sheet.tsx';
import { type Column, ListTable, PAGE_ROWS } from '../parts/table.tsx';
import { When } from '../parts/when.tsx';

/** Nodes say so often how they fare; nobody is told of that. */
const LOOK_MS = 5_000;

interface Asked {
  readonly what: 'drain' | 'resume' | 'remove';
  readonly node: NodeView;
}

/** The hosts that serve the registry together. */
export function Nodes({ route }: { readonly route: Route }) {
  const after = route.query.get('after') ?? undefined;
  const query = useQuery(`nodes ${after}`, ['node'], () => run('node-list', { limit: PAGE_ROWS, after }));
  useEffect(() => {
    const timer = setInterval(query.again, LOOK_MS);
    return () => clearInterval(timer);
  }, []);
  const [asked, ask] = useState<Asked>();
  const [done, setDone] = useState<string>();
  return (
    <Page title="Nodes" sub="The hosts that serve together. A device has one tunnel among them, the newest.">
      {done !== undefined && (
        <p class="note" role="status">
          {done}
        </p>
      )}
      <ListTable
        caption="Nodes"
        query={query}
        columns={[...COLUMNS, ...actions(ask)]}
        keyOf={({ name }) => name}
        route={route}
        empty={
          <p>
            This fabric serves alone. Several hosts on one registry have a name each: <code>[node] name</code>{' '}
            in fabric.toml.
          </p>
        }
      />
      {asked !== undefined && (
        <NodeSheet
          {...asked}
          close={() => ask(undefined)}
          done={(text) => {
            setDone(text);
            query.again();
          }}
        />
      )}
    </Page>
  );
}

const DUTY_WORDS: Readonly<Record<NodeView['serves'][number], string>> = {
  identity: 'handshakes',
  tunnels: 'tunnels',
  console: 'console',
};

const COLUMNS: readonly Column<NodeView>[] = [
  {
    name: 'Node',
    kind: 'main',
    cell: ({ name, address }) => (
      <>
        {name}
        {address !== null && <div class="under address">{address}</div>}
      </>
    ),
  },
  {
    name: 'State',
    cell: ({ state, draining, routesLost }) => (
      <div>
        <NodeState state={state} />
        {draining !== null && (
          <div class="under">
            {state === 'draining' ? 'begun' : 'draining, begun'} <When at={draining} />
          </div>
        )}
        {routesLost !== null && (
          <div class="under">
            no other node learns which devices are here, since <When at={routesLost} />
          </div>
        )}
      </div>
    ),
  },
  { name: 'Version', cell: ({ version }) => version },
  { name: 'Serves', cell: ({ serves }) => serves.map((duty) => DUTY_WORDS[duty]).join(', ') },
  {
    name: 'Tunnels',
    kind: 'number',
    cell: ({ name, tunnels }) =>
      tunnels === null ? (
        '–'
      ) : (
        <a href={hrefOf(['devices'], { node: name })}>{tunnels.toLocaleString('en')}</a>
      ),
  },
  { name: 'Load', kind: 'number', cell: ({ load }) => load.toFixed(2) },
  { name: 'Seen', cell: ({ seen }) => <When at={seen} /> },
];

function actions(ask: (asked: Asked) => void): readonly Column<NodeView>[] {
  if (!may('nodes.write')) return [];
  const button = (what: Asked['what'], name: string, node: NodeView) => (
    <button type="button" class="link" onClick={() => ask({ what, node })}>
      {name}
    </button>
  );
  return [
    {
      name: 'Actions',
      cell: (node) => (
        <div>
          {node.draining === null ? button('drain', 'Drain', node) : button('resume', 'Resume', node)}
          {(node.state === 'lost' || node.state === 'stopped') && button('remove', 'Remove', node)}
        </div>
      ),
    },
  ];
}

function NodeSheet({
  what,
  node,
  close,
  done,
}: Asked & { readonly close: () => void; readonly done: (text: string) => void }) {
  const { name, serves, tunnels } = node;
  if (what === 'drain')
    return (
      <Sheet
        title={`Have devices leave ${name}?`}
        verb="Drain"
        danger
        act={async () => {
          await run('node-drain', { node: name });
          done(`${name} drains.`);
        }}
        close={close}
      >
        {tunnels !== null && (
          <p>{count(tunnels, 'device')} had a tunnel there a moment ago. They are to go to other nodes.</p>
        )}
        {serves.includes('identity') && (
          <p>Other nodes serve handshakes meanwhile, if there are any that do.</p>
        )}
        <p>It stays so until you resume it, also when its host was started again.</p>
      </Sheet>
    );
  if (what === 'resume')
    return (
      <Sheet
        title={`Let devices stay at ${name} again?`}
        verb="Resume"
        act={async () => {
          await run('node-resume', { node: name });
          done(`${name} does not drain any more.`);
        }}
        close={close}
      >
        <p>Devices that went to other nodes stay there until they connect anew.</p>
      </Sheet>
    );
  return (
    <Sheet
      title={`Remove ${name}?`}
      verb="Remove"
      danger
      act={async () => {
        await run('node-remove', { node: name });
        done(`${name} is forgotten.`);
      }}
      close={close}
    >
      <p>It is forgotten, and since when it drains. If its host comes back, it joins anew.</p>
    </Sheet>
  );
}
