import { useState } from 'preact/hooks';
import type { LimitView } from '../../fabric/operations/views/limits.ts';
import { run } from '../api/operations.ts';
import { useQuery } from '../app/query.ts';
import { may } from '../app/session.ts';
import { rateWords } from '../app/words.ts';
import { ChoiceField, TextField } from '../parts/field.tsx';
import { Section } from '../parts/page.tsx';
import { ProblemBox } from '../parts/problem.tsx';
import { Sheet } from '../parts/sheet.tsx';
import { type Column, Rows } from '../parts/table.tsx';

/** Those of a network that are shown: nobody looks through more here. */
const SHOWN = 100;

type Asked = 'new' | { readonly what: 'remove'; readonly limit: LimitView };

/** How much the devices of a network may send and get. */
export function RateLimits({ network }: { readonly network: string }) {
  const { data, problem, again } = useQuery(`limits ${network}`, ['network', 'audit'], () =>
    run('limit-list', { network, limit: SHOWN }),
  );
  const [asked, ask] = useState<Asked>();
  const close = (): void => ask(undefined);
  const columns: readonly Column<LimitView>[] = [
    { name: 'Devices', kind: 'main', cell: ({ devices }) => whoseWords(devices) },
    { name: 'Each gets', cell: (limit) => rateWords(limit.in) },
    { name: 'Each sends', cell: ({ out }) => rateWords(out) },
    ...(may('rules.write')
      ? [{ name: 'Actions', cell: (limit: LimitView) => <Remove limit={limit} ask={ask} /> }]
      : []),
  ];
  return (
    <Section
      title="Rate limits"
      actions={
        may('rules.write') && (
          <button type="button" onClick={() => ask('new')}>
            Set a limit
          </button>
        )
      }
    >
      {problem !== undefined && <ProblemBox problem={problem} again={again} />}
      {data?.rows.length === 0 && (
        <p class="quiet">None: each device sends and gets as much as goes through its tunnel.</p>
      )}
      {data !== undefined && data.rows.length > 0 && (
        <Rows
          caption="Rate limits"
          rows={data.rows}
          columns={columns}
          keyOf={({ devices }) => devices.names}
        />
      )}
      {data?.next !== undefined && <p class="quiet">The first {SHOWN} are shown.</p>}
      {asked === 'new' && <SetSheet network={network} close={close} done={again} />}
      {typeof asked === 'object' && <RemoveSheet limit={asked.limit} close={close} done={again} />}
    </Section>
  );
}

function whoseWords({ names, called }: LimitView['devices']) {
  if (names === 'max') return 'The most that any may';
  if (names === 'any') return 'Each device';
  return called === null || called === '' ? <code>{names}</code> : `${names.split(':')[0]} ${called}`;
}

function Remove({ limit, ask }: { readonly limit: LimitView; readonly ask: (asked: Asked) => void }) {
  if (limit.devices.names === 'max' && !may('owners.write')) return null;
  return (
    <button type="button" class="link" onClick={() => ask({ what: 'remove', limit })}>
      Remove
    </button>
  );
}

interface SheetProps {
  readonly close: () => void;
  readonly done: () => void;
}

const WAYS = [
  ['both', 'What they send, and what they get'],
  ['out', 'What the devices send'],
  ['in', 'What comes in to the devices'],
] as const;

function SetSheet({ network, close, done }: SheetProps & { readonly network: string }) {
  const [devices, setDevices] = useState('any');
  const [way, setWay] = useState<string>('both');
  const [packets, setPackets] = useState('');
  const [bytes, setBytes] = useState('');
  const act = async (): Promise<void> => {
    const values = {
      ...(way !== 'both' && { direction: way === 'in' ? ('in' as const) : ('out' as const) }),
      ...(packets !== '' && { packets: Number(packets) }),
      ...(bytes !== '' && { bytes: Number(bytes) }),
    };
    if (devices.trim() === 'max') await run('limit-max', { network, ...values });
    else await run('limit-set', { network, devices: devices.trim(), ...values });
    done();
  };
  return (
    <Sheet title="Set a rate limit" verb="Set" act={act} close={close}>
      <TextField
        label="Devices"
        value={devices}
        change={setDevices}
        required
        maxLength={150}
        hint={`any, group: and its name, device: and its name or address${may('owners.write') ? '; max: what no limit exceeds' : ''}`}
      />
      <ChoiceField label="Direction" value={way} change={setWay} choices={WAYS} />
      <TextField
        label="Packets in a second"
        type="number"
        value={packets}
        change={setPackets}
        hint="0: any number; empty: as it is"
      />
      <TextField
        label="Bytes in a second"
        type="number"
        value={bytes}
        change={setBytes}
        hint="A million are 8 Mbit/s. 0: any number; empty: as it is"
      />
    </Sheet>
  );
}

function RemoveSheet({ limit, close, done }: SheetProps & { readonly limit: LimitView }) {
  const { network, devices } = limit;
  const act = async (): Promise<void> => {
    if (devices.names === 'max') await run('limit-max', { network, packets: 0, bytes: 0 });
    else await run('limit-remove', { network, devices: devices.names });
    done();
  };
  return (
    <Sheet title="Remove the rate limit?" verb="Remove" danger act={act} close={close}>
      <p>
        <b>{whoseWords(devices)}</b>: gets {rateWords(limit.in)}, sends {rateWords(limit.out)}
      </p>
      <p>The limits of more devices count from then on, for tunnels that are open, too.</p>
    </Sheet>
  );
}
