import { useState } from 'preact/hooks';
import type { DeviceDetails } from '../../fabric/operations/devices.ts';
import type { StandingChange } from '../../fabric/registry/records.ts';
import { run } from '../api/operations.ts';
import { hrefOf } from '../app/address.ts';
import { useQuery } from '../app/query.ts';
import { may } from '../app/session.ts';
import { count, placeWords, resultWords, shortGid } from '../app/words.ts';
import { Presence, Standing } from '../parts/badge.tsx';
import { Copyable } from '../parts/copy.tsx';
import { TextField } from '../parts/field.tsx';
import { GroupLink } from '../parts/link.tsx';
import { Facts, Page, Section } from '../parts/page.tsx';
import { ProblemBox } from '../parts/problem.tsx';
import { Sheet } from '../parts/sheet.tsx';
import { Rows } from '../parts/table.tsx';
import { When } from '../parts/when.tsx';

type Handshake = DeviceDetails['handshakes'][number];

/** One device: whether it is there and how that is known, what it may, and its handshakes. */
export function DevicePage({ address }: { readonly address: string }) {
  const { data, problem, again } = useQuery(`device ${address}`, ['device', 'group', 'handshake'], () =>
    run('device-show', { address }),
  );
  const [asked, ask] = useState<StandingChange | 'name'>();
  const [done, setDone] = useState<string>();
  if (data === undefined)
    return problem === undefined ? null : <ProblemBox problem={problem} again={again} />;
  const close = (): void => ask(undefined);
  return (
    <Page
      title={data.name ?? data.address}
      sub={
        <>
          <a href={hrefOf(['devices'])}>Devices</a> · <GroupLink gid={data.gid} name={data.group} />
        </>
      }
      actions={<Actions device={data} ask={ask} />}
    >
      {problem !== undefined && <ProblemBox problem={problem} again={again} />}
      {done !== undefined && (
        <p class="note" role="status">
          {done}
        </p>
      )}
      {data.twins !== null && <Twins twins={data.twins} />}
      <Facts
        rows={[
          ['Address', <Copyable key="a" text={data.address} />],
          ['Tunnel', <Presence key="p" device={data} long />],
          ['Standing', <Standing key="s" standing={data.standing} />],
          ['Agent', <Agent key="g" agent={data.agent} />],
          ['Note', data.note ?? <span class="quiet">none</span>],
          ['Network', data.network],
          ['Batch id', <code key="i">{shortGid(data.gid)}</code>],
          ['Admitted', <When key="w" at={data.created} />],
          [
            'Long-term key',
            <Copyable key="k" text={data.longtermKey} shown={`${data.longtermKey.slice(0, 20)}…`} />,
          ],
        ]}
      />
      <Section title="Handshakes">
        <Rows
          caption="The newest handshakes of this device"
          rows={data.handshakes}
          columns={HANDSHAKES}
          keyOf={(row) => row.at + row.result}
        />
        {data.earlierHandshakes.map(({ result, times, first }) => (
          <p class="quiet" key={result}>
            Before them {count(times, 'time')} “{resultWords(result)}”, first <When at={first} />
          </p>
        ))}
      </Section>
      <Section title="What nobody here knows">
        <p class="quiet">
          Which chip this is. Its group signatures prove that it belongs to the batch and that it is the same
          chip each time, and nothing else: there is no serial number to show.
        </p>
      </Section>
      {asked === 'name' && <NameSheet device={data} close={close} done={again} />}
      {asked !== undefined && asked !== 'name' && (
        <StandingSheet
          device={data}
          change={asked}
          close={close}
          done={(text) => {
            setDone(text);
            again();
          }}
        />
      )}
    </Page>
  );
}

const HANDSHAKES = [
  { name: 'When', kind: 'main', cell: ({ at }: Handshake) => <When at={at} /> },
  { name: 'From', cell: ({ source }: Handshake) => <code>{source}</code> },
  { name: 'Registered in', cell: ({ country }: Handshake) => placeWords(country) },
  {
    name: 'Result',
    cell: ({ result, proven }: Handshake) => (
      <span class={result === 'ok' ? 'good' : 'bad'}>
        {resultWords(result)}
        {!proven && ' (claimed, not proven)'}
      </span>
    ),
  },
] as const;

function Actions({
  device,
  ask,
}: {
  readonly device: DeviceDetails;
  readonly ask: (what: StandingChange | 'name') => void;
}) {
  const banned = device.standing === 'banned';
  return (
    <>
      {may('devices.name') && (
        <button type="button" onClick={() => ask('name')}>
          Name
        </button>
      )}
      {may('devices.standing') && (
        <>
          {!banned && device.standing !== 'evicted' && (
            <button type="button" onClick={() => ask('evict')}>
              Evict
            </button>
          )}
          <button
            type="button"
            class={banned ? 'primary' : 'danger'}
            onClick={() => ask(banned ? 'unban' : 'ban')}
          >
            {banned ? 'Unban' : 'Ban'}
          </button>
        </>
      )}
    </>
  );
}

const WHAT: Readonly<
  Record<StandingChange, { title: string; verb: string; danger: boolean; will: string; did: string }>
> = {
  evict: {
    title: 'Evict this device?',
    verb: 'Evict',
    danger: true,
    will: 'Its tunnel is cut now. It has to prove its batch anew, and may: then it has the same address. Evict when its key may be in other hands.',
    did: 'The device is evicted',
  },
  ban: {
    title: 'Ban this device?',
    verb: 'Ban',
    danger: true,
    will: 'Its tunnel is cut now, and it is refused until somebody unbans it. Other devices of the batch notice nothing.',
    did: 'The device is banned',
  },
  unban: {
    title: 'Admit this device again?',
    verb: 'Unban',
    danger: false,
    will: 'It may connect again. One that has waited for long asks less often, so it may take a while.',
    did: 'The device may connect again',
  },
};

function StandingSheet({
  device,
  change,
  close,
  done,
}: {
  readonly device: DeviceDetails;
  readonly change: StandingChange;
  readonly close: () => void;
  readonly done: (text: string) => void;
}) {
  const { title, verb, danger, will, did } = WHAT[change];
  const act = async (): Promise<void> => {
    const { effect } = await run('device-standing', { address: device.address, change });
    done(`${did} (${effect}).`);
  };
  return (
    <Sheet title={title} verb={verb} danger={danger} act={act} close={close}>
      <p>
        <b>{device.name ?? device.address}</b>
      </p>
      <p>{will}</p>
    </Sheet>
  );
}

function NameSheet({
  device,
  close,
  done,
}: {
  readonly device: DeviceDetails;
  readonly close: () => void;
  readonly done: () => void;
}) {
  const [name, setName] = useState(device.name ?? '');
  const [note, setNote] = useState(device.note ?? '');
  const act = async (): Promise<void> => {
    await run('device-name', { address: device.address, name, note });
    done();
  };
  return (
    <Sheet title="Name this device" verb="Save" act={act} close={close}>
      <TextField
        label="Name"
        value={name}
        change={setName}
        maxLength={63}
        hint="Lower-case letters, digits and hyphens, e.g. berlin-3. Empty: none."
      />
      <TextField label="Note" value={note} change={setNote} maxLength={500} />
    </Sheet>
  );
}

function Agent({ agent }: { readonly agent: DeviceDetails['agent'] }) {
  if (agent === null) return <span class="quiet">this kind of client tells nothing of itself</span>;
  const { version, reported, lastFailure } = agent;
  return (
    <>
      version {version}, said <When at={reported} />
      {lastFailure !== null && (
        <>
          ; last failure <code>{lastFailure.code}</code> <When at={lastFailure.at} />
        </>
      )}
    </>
  );
}

function Twins({ twins }: { readonly twins: NonNullable<DeviceDetails['twins']> }) {
  return (
    <div class="problem" role="alert">
      <p class="problem-title">Two devices have this one’s key.</p>
      <p>
        They took turns <When at={twins.at} />, from {twins.from.join(' and ')}. Evict it: only the one that
        has the credential comes back.
      </p>
    </div>
  );
}
