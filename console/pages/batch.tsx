import { useState } from 'preact/hooks';
import { run, type ViewOf } from '../api/operations.ts';
import { hrefOf } from '../app/address.ts';
import { useQuery } from '../app/query.ts';
import { go } from '../app/route.ts';
import { may } from '../app/session.ts';
import {
  addressWords,
  count,
  outWords,
  placeWords,
  resultWords,
  shortGid,
  whereWords,
  within,
} from '../app/words.ts';
import { ArrivalBar } from '../charts/arrival-bar.tsx';
import { ArrivalCurve } from '../charts/arrival-curve.tsx';
import { Standing } from '../parts/badge.tsx';
import { TextField } from '../parts/field.tsx';
import { countriesIn, countriesWords, LimitFields } from '../parts/limits.tsx';
import { Facts, Page, Section } from '../parts/page.tsx';
import { ProblemBox, ProblemPage } from '../parts/problem.tsx';
import { Sheet } from '../parts/sheet.tsx';
import { Rows } from '../parts/table.tsx';
import { When } from '../parts/when.tsx';
import { GrantSheet } from '../prefixes/grant-sheet.tsx';
import { RosterNote } from './roster.tsx';

type Batch = ViewOf<'group-show'>;

/** One batch: how many of it have come, and when, and who was refused. */
export function BatchPage({ gid }: { readonly gid: string }) {
  const { data, problem, again } = useQuery(`batch ${gid}`, ['group', 'device', 'handshake'], () =>
    run('group-show', { gid }),
  );
  const arrivals = useQuery(`arrivals ${gid}`, ['device'], () => run('group-arrivals', { gid }));
  const [asked, ask] = useState<'status' | 'change' | 'remove' | 'grant'>();
  const [done, setDone] = useState<string>();
  if (data === undefined) {
    if (problem === undefined) return null;
    return problem.code === 'fabric.unknown-group' ? (
      <NotAdmitted gid={gid} />
    ) : (
      <ProblemPage title="Batch" problem={problem} again={again} />
    );
  }
  const close = (): void => ask(undefined);
  return (
    <Page
      title={data.name}
      sub={<a href={hrefOf(['batches'])}>Batches</a>}
      actions={
        <>
          {may('groups.write') && (
            <button type="button" onClick={() => ask('change')}>
              Change
            </button>
          )}
          {may('groups.write') && data.devices === 0 && (
            <button type="button" onClick={() => ask('remove')}>
              Remove
            </button>
          )}
          {may('groups.suspend') && (
            <button
              type="button"
              class={data.status === 'active' ? 'danger' : 'primary'}
              onClick={() => ask('status')}
            >
              {data.status === 'active' ? 'Suspend' : 'Resume'}
            </button>
          )}
        </>
      }
    >
      {problem !== undefined && <ProblemBox problem={problem} again={again} />}
      {done !== undefined && (
        <p class="note" role="status">
          {done}
        </p>
      )}
      <p class="big" role="status">
        {data.announced === null
          ? count(data.devices, 'device')
          : `${data.devices.toLocaleString('en')} of ${data.announced.toLocaleString('en')}`}{' '}
        arrived, {data.connected.toLocaleString('en')} with a tunnel
      </p>
      {arrivals.data !== undefined && arrivals.data.rows.length > 1 && (
        <ArrivalCurve points={arrivals.data.rows} announced={data.announced} />
      )}
      <Facts
        rows={[
          ['Arrived', <ArrivalBar key="a" arrived={data.devices} announced={data.announced} />],
          ['Kept out of these', outWords(data).join(', ') || <span class="quiet">none</span>],
          ['Last arrival', <When key="l" at={data.lastArrival} />],
          ['May come', data.most === null ? 'any number' : count(data.most, 'device')],
          ['New devices from', countriesWords(data.countries)],
          ['State', <Standing key="s" standing={data.status} />],
          ['Network', data.network],
          [
            'Prefixes behind its devices',
            <>
              {data.delegates ? 'one for each' : <span class="quiet">none by the batch</span>}
              {may('networks.write') && (
                <>
                  {' '}
                  <button type="button" class="link" onClick={() => ask('grant')}>
                    {data.delegates ? 'Withdraw' : 'Delegate'}
                  </button>
                </>
              )}
            </>,
          ],
          ['Batch id', <code key="g">{shortGid(data.gid)}</code>],
          ['Admitted', <When key="c" at={data.created} />],
        ]}
      />
      <p>
        <a href={hrefOf(['devices'], { gid: data.gid })}>The devices of this batch</a>
      </p>
      {data.ca === null ? (
        <RosterNote {...data} again={again} />
      ) : (
        <p class="note note-plain">
          Its devices come in with certificates of <a href={hrefOf(['cas', String(data.ca)])}>this CA</a>.
        </p>
      )}
      {data.beyondLimits !== null && <BeyondLimits knocking={data.beyondLimits} />}
      <Section title="Refused lately">
        {data.refusals.length === 0 ? (
          <p class="quiet">Nobody who claims this batch was refused.</p>
        ) : (
          <Rows
            caption="Refused handshakes that claim this batch"
            rows={data.refusals}
            keyOf={(row) => row.at + row.source}
            columns={[
              { name: 'When', kind: 'main', cell: ({ at }) => <When at={at} /> },
              { name: 'Why', cell: ({ result }) => resultWords(result) },
              { name: 'From', cell: ({ source }) => <code class="source">{addressWords(source)}</code> },
              { name: 'Registered in', cell: whereWords },
            ]}
          />
        )}
      </Section>
      {asked === 'status' && (
        <StatusSheet
          batch={data}
          close={close}
          done={(text) => {
            setDone(text);
            again();
          }}
        />
      )}
      {asked === 'grant' && (
        <GrantSheet
          whom="batch"
          name={`${data.name}, ${count(data.devices, 'device')}`}
          granted={!data.delegates}
          act={async () => {
            const { view, effect } = await run('group-delegate', { gid, granted: !data.delegates });
            setDone(
              view.granted
                ? `Each device of the batch gets a prefix when it has a tunnel (${effect}).`
                : `The prefixes of the batch are withdrawn, but those of devices that were granted their own (${effect}).`,
            );
            again();
          }}
          close={close}
        />
      )}
      {asked === 'remove' && <RemoveSheet batch={data} close={close} />}
      {asked === 'change' && <ChangeSheet batch={data} close={close} done={again} />}
    </Page>
  );
}

/** Devices of the batch that its limits keep out. */
function BeyondLimits({ knocking }: { readonly knocking: NonNullable<Batch['beyondLimits']> }) {
  const { attempts, first, countries } = knocking;
  return (
    <p class="note note-warn">
      Kept out by the limits of this batch: {count(attempts, 'attempt')} since <When at={first} />, from{' '}
      {countries.map(placeWords).join(', ')}.
    </p>
  );
}

function NotAdmitted({ gid }: { readonly gid: string }) {
  return (
    <Page title="A batch that is not admitted" sub={<code>{shortGid(gid)}</code>}>
      <p>
        Devices say that they belong to it; nobody has brought its label here, so nothing of that is proven.{' '}
        <a href={hrefOf(['handshakes'], { gid })}>Its handshakes</a>
      </p>
      {may('groups.claim') && (
        <a class="button primary" href={hrefOf(['claim'])}>
          Scan its label
        </a>
      )}
    </Page>
  );
}

interface SheetProps {
  readonly batch: Batch;
  readonly close: () => void;
}

function StatusSheet({ batch, close, done }: SheetProps & { readonly done: (text: string) => void }) {
  const suspends = batch.status === 'active';
  const act = async (): Promise<void> => {
    const { view, effect } = await run('group-status', {
      gid: batch.gid,
      status: suspends ? 'suspended' : 'active',
    });
    done(
      `${suspends ? 'The batch is suspended' : 'The batch is admitted again'} (${effect}).${within(view.backWithin)}`,
    );
  };
  return (
    <Sheet
      title={suspends ? 'Suspend this batch?' : 'Admit this batch again?'}
      verb={suspends ? 'Suspend' : 'Resume'}
      danger={suspends}
      act={act}
      close={close}
    >
      <p>
        <b>{batch.name}</b>, {count(batch.devices, 'device')}
      </p>
      <p>
        {suspends
          ? `${count(batch.connected, 'tunnel is', 'tunnels are')} cut now, and they are refused until the batch is resumed. Their addresses stay theirs.`
          : 'Its devices may connect again. Those that are running ask soon by themselves.'}
      </p>
    </Sheet>
  );
}

function RemoveSheet({ batch, close }: SheetProps) {
  const act = async (): Promise<void> => {
    await run('group-remove', { gid: batch.gid });
    go(hrefOf(['batches']));
  };
  return (
    <Sheet title="Remove this batch?" verb="Remove" danger act={act} close={close}>
      <p>
        <b>{batch.name}</b>
      </p>
      <p>No device of it has come. To let its devices in later, its label has to be scanned again.</p>
    </Sheet>
  );
}

function ChangeSheet({ batch, close, done }: SheetProps & { readonly done: () => void }) {
  const [name, setName] = useState(batch.name);
  const [announced, setAnnounced] = useState(batch.announced === null ? '' : String(batch.announced));
  const [limits, setLimits] = useState({
    most: String(batch.most ?? ''),
    countries: batch.countries?.join(', ') ?? '',
  });
  const act = async (): Promise<void> => {
    await run('group-change', {
      ...{ gid: batch.gid, name },
      announced: Number(announced),
      most: Number(limits.most),
      countries: countriesIn(limits.countries),
    });
    done();
  };
  return (
    <Sheet title="Change this batch" verb="Save" act={act} close={close}>
      <TextField label="Name" value={name} change={setName} required maxLength={60} />
      <TextField
        label="Announced devices"
        type="number"
        value={announced}
        change={setAnnounced}
        hint="How many the label or the shipment announces. Empty: not known."
      />
      <LimitFields {...limits} change={(changed) => setLimits({ ...limits, ...changed })} />
    </Sheet>
  );
}
