import { useState } from 'preact/hooks';
import type { RuleRow } from '../../fabric/operations/views/rules.ts';
import { run } from '../api/operations.ts';
import { type Problem, problemOf } from '../api/problem.ts';
import { hrefOf, type Route } from '../app/address.ts';
import { useQuery } from '../app/query.ts';
import { may } from '../app/session.ts';
import { ChoiceField, TextField } from '../parts/field.tsx';
import { Page } from '../parts/page.tsx';
import { ProblemBox } from '../parts/problem.tsx';
import { Sheet } from '../parts/sheet.tsx';
import { type Column, ListTable, PAGE_ROWS } from '../parts/table.tsx';
import { RateLimits } from './rates.tsx';

type End = RuleRow['devices'];
type Asked = 'new' | { readonly what: 'remove'; readonly rule: RuleRow };

/** The rules of a network in the order in which they are asked. */
export function Rules({ route }: { readonly route: Route }) {
  const network = route.path[1] ?? '';
  const after = route.query.get('after') ?? undefined;
  const query = useQuery(`rules ${network} ${after}`, ['network', 'audit'], () =>
    run('rule-list', { network, limit: PAGE_ROWS, after }),
  );
  const [asked, ask] = useState<Asked>();
  const [problem, setProblem] = useState<Problem>();
  const move = (id: number, place: number): void =>
    void run('rule-move', { id, place })
      .then(() => setProblem(undefined))
      .catch((error: unknown) => setProblem(problemOf(error)))
      .then(query.again);
  const close = (): void => ask(undefined);
  const columns: readonly Column<RuleRow>[] = [
    { name: 'Place', kind: 'number', cell: ({ place }) => place },
    {
      name: 'Rule',
      kind: 'main',
      cell: ({ action, direction, note }) => (
        <>
          <b>{action === 'allow' ? 'Allow' : 'Deny'}</b> {direction}
          {note !== null && <span class="quiet"> {note}</span>}
        </>
      ),
    },
    { name: 'Devices', cell: ({ devices }) => nameOf(devices) },
    { name: 'With', cell: (rule) => nameOf(rule.with) },
    { name: 'Traffic', cell: ({ traffic }) => traffic },
    {
      name: 'Packets',
      kind: 'number',
      cell: ({ counted }) => counted?.packets.toLocaleString('en') ?? '–',
    },
    ...(may('rules.write')
      ? [{ name: 'Actions', cell: (rule: RuleRow) => <Actions rule={rule} ask={ask} move={move} /> }]
      : []),
  ];
  return (
    <Page
      title="Rules"
      sub={`Who reaches whom in ${network}: the first rule that fits decides, and replies pass by themselves.`}
      actions={
        may('rules.write') && (
          <button type="button" class="primary" onClick={() => ask('new')}>
            Add a rule
          </button>
        )
      }
    >
      {problem !== undefined && <ProblemBox problem={problem} />}
      <ListTable
        caption="Rules"
        query={query}
        columns={columns}
        keyOf={({ id }) => id}
        route={route}
        empty={
          <p>
            No rules: the devices reach each other, the host and what is outside, and no other network reaches
            them.
          </p>
        }
      />
      <RateLimits network={network} />
      <p>
        <a href={hrefOf(['networks'])}>All networks</a>
      </p>
      {asked === 'new' && <AddSheet network={network} close={close} done={query.again} />}
      {typeof asked === 'object' && <RemoveSheet rule={asked.rule} close={close} done={query.again} />}
    </Page>
  );
}

/** What people call it, and what it is. */
function nameOf({ names, called }: End) {
  const kind = names.split(':')[0];
  return called === null || called === '' ? <code>{names}</code> : `${kind} ${called}`;
}

function Actions({
  rule,
  ask,
  move,
}: {
  readonly rule: RuleRow;
  readonly ask: (asked: Asked) => void;
  readonly move: (id: number, place: number) => void;
}) {
  const { id, place } = rule;
  return (
    <>
      <button type="button" class="link" disabled={place === 1} onClick={() => move(id, place - 1)}>
        Up
      </button>{' '}
      <button type="button" class="link" onClick={() => move(id, place + 1)}>
        Down
      </button>{' '}
      <button type="button" class="link" onClick={() => ask({ what: 'remove', rule })}>
        Remove
      </button>
    </>
  );
}

interface SheetProps {
  readonly close: () => void;
  readonly done: () => void;
}

const ACTIONS = [
  ['allow', 'Allow'],
  ['deny', 'Deny'],
] as const;
const DIRECTIONS = [
  ['in', 'What comes in to the devices'],
  ['out', 'What the devices send'],
] as const;

function AddSheet({ network, close, done }: SheetProps & { readonly network: string }) {
  const [action, setAction] = useState<string>('allow');
  const [direction, setDirection] = useState<string>('in');
  const [devices, setDevices] = useState('any');
  const [other, setOther] = useState('any');
  const [traffic, setTraffic] = useState('any');
  const [place, setPlace] = useState('');
  const [note, setNote] = useState('');
  const act = async (): Promise<void> => {
    await run('rule-add', {
      network,
      action: action === 'allow' ? 'allow' : 'deny',
      direction: direction === 'in' ? 'in' : 'out',
      ...{ devices, with: other, traffic, note },
      ...(place !== '' && { place: Number(place) }),
    });
    done();
  };
  return (
    <Sheet title="Add a rule" verb="Add" act={act} close={close}>
      <ChoiceField label="What becomes of it" value={action} change={setAction} choices={ACTIONS} />
      <ChoiceField label="Direction" value={direction} change={setDirection} choices={DIRECTIONS} />
      <TextField
        label="Devices of the network"
        value={devices}
        change={setDevices}
        required
        maxLength={150}
        hint="any, group: and its name, device: and its name or address"
      />
      <TextField
        label="With"
        value={other}
        change={setOther}
        required
        maxLength={150}
        hint="The other end: the same, or network: and its name, host, outside"
      />
      <TextField
        label="Traffic"
        value={traffic}
        change={setTraffic}
        required
        maxLength={20}
        hint="any, icmpv6, tcp, tcp/22, udp/8000-8100"
      />
      <TextField
        label="Place"
        type="number"
        value={place}
        change={setPlace}
        hint="1 is asked first; last if empty"
      />
      <TextField label="Note" value={note} change={setNote} maxLength={200} />
    </Sheet>
  );
}

function RemoveSheet({ rule, close, done }: SheetProps & { readonly rule: RuleRow }) {
  const act = async (): Promise<void> => {
    await run('rule-remove', { id: rule.id });
    done();
  };
  return (
    <Sheet title="Remove the rule?" verb="Remove" danger act={act} close={close}>
      <p>
        <b>{rule.action === 'allow' ? 'Allow' : 'Deny'}</b> {rule.direction}: {nameOf(rule.devices)} with{' '}
        {nameOf(rule.with)}, {rule.traffic}
      </p>
      <p>What it has decided on the rules behind it decide from then on, for open connections, too.</p>
    </Sheet>
  );
}
