import { useEffect, useState } from 'preact/hooks';
import type { RosterDeviceView, RosterStatusView } from '../../fabric/operations/views/rosters.ts';
import { endOf, followed } from '../api/follow-job.ts';
import { type InputOf, run } from '../api/operations.ts';
import { hrefOf, type Route } from '../app/address.ts';
import { useQuery } from '../app/query.ts';
import { upload, uploads } from '../app/roster-upload.ts';
import { may } from '../app/session.ts';
import { count } from '../app/words.ts';
import { Standing } from '../parts/badge.tsx';
import { Export } from '../parts/export.tsx';
import { ChoiceField, TextField } from '../parts/field.tsx';
import { Filters } from '../parts/filters.tsx';
import { DeviceLink, GroupLink } from '../parts/link.tsx';
import { Page } from '../parts/page.tsx';
import { NO_ROSTER, RosterFields, RosterProgress } from '../parts/roster-upload.tsx';
import { Sheet } from '../parts/sheet.tsx';
import { type Column, ListTable, PAGE_ROWS } from '../parts/table.tsx';
import { When } from '../parts/when.tsx';

type State = InputOf<'roster-list'>['state'];

const NONE = <span class="quiet">none</span>;

const COLUMNS: readonly Column<RosterDeviceView>[] = [
  { name: 'Serial number', kind: 'main', cell: ({ serial, line }) => serial ?? `line ${line}` },
  { name: 'Box', kind: 'number', cell: ({ box }) => box?.toLocaleString('en') ?? NONE },
  {
    name: 'State',
    cell: ({ device, banned }) => {
      if (device !== null) return <Standing standing={device.standing} />;
      return banned ? <span class="bad">banned, not yet seen</span> : <span class="quiet">not yet seen</span>;
    },
  },
  {
    name: 'Device',
    cell: ({ device }) =>
      device === null ? NONE : <DeviceLink address={device.address} name={device.name} />,
  },
  { name: 'Seen', cell: ({ device }) => (device === null ? NONE : <When at={device.created} />) },
];

const FILTERS = [
  {
    field: 'state',
    label: 'Show',
    choices: [
      ['', 'all'],
      ['unseen', 'not yet seen'],
      ['seen', 'seen'],
      ['banned', 'banned'],
    ],
  },
] as const;

/** What a batch's page says of its roster, how it gets one, and the way to the devices on it. */
export function RosterNote({
  again,
  ...status
}: Omit<RosterStatusView, 'name'> & {
  /** Asks for the status again. */
  readonly again: () => void;
}) {
  const { gid, roster } = status;
  const [asks, ask] = useState(false);
  const sent = uploads.value.get(gid);
  const arrives = sent !== undefined && sent.problem === undefined;
  // Nobody is told of a roster before it is in force: of one that stopped on its way some lines may be here.
  useEffect(() => {
    if (sent?.problem !== undefined) again();
  }, [sent?.problem]);
  return (
    <>
      <StatusNote {...status} />
      <RosterProgress gid={gid} />
      {!arrives && roster?.state !== 'in-force' && may('groups.claim') && (
        <p>
          <button type="button" onClick={() => ask(true)}>
            {roster === null ? 'Upload its roster' : 'Upload the rest of its roster'}
          </button>
        </p>
      )}
      {asks && <UploadSheet gid={gid} close={() => ask(false)} />}
    </>
  );
}

function StatusNote({ gid, roster, rosterAwaited }: Omit<RosterStatusView, 'name'>) {
  if (roster === null) {
    return (
      <p class="note">
        {rosterAwaited
          ? 'This batch waits for its roster: nobody is let in before it is here.'
          : 'This batch has no roster: every device that proves membership is let in. Whoever has the key of its issuer can make such devices.'}
      </p>
    );
  }
  if (roster.state !== 'in-force') {
    return (
      <p class="note">
        Its roster of {count(roster.devices, 'device')} is not in force yet:{' '}
        {roster.state === 'arriving' ? 'not all of it has come' : 'it is being looked through'}.
        {rosterAwaited && ' Until then nobody is let in.'}
      </p>
    );
  }
  const { seen, devices, banned, outside, unnamed } = roster;
  return (
    <p class="note">
      Only <a href={hrefOf(['batches', gid, 'roster'])}>the devices on its roster</a> are let in:{' '}
      {(seen ?? 0).toLocaleString('en')} of {count(devices, 'device')} {devices === 1 ? 'has' : 'have'} been
      seen
      {banned > 0 &&
        `, ${banned.toLocaleString('en')} ${banned === 1 ? 'is banned and has' : 'are banned and have'} not`}
      .
      {unnamed > 0 &&
        ` ${unnamed.toLocaleString('en')} cannot get in: made before the factory noted what devices are known by.`}
      {(outside ?? 0) > 0 && (
        <>
          {' '}
          <a href={hrefOf(['devices'], { gid, roster: 'outside' })}>
            {count(outside ?? 0, 'device')} of the batch
          </a>{' '}
          {outside === 1 ? 'is' : 'are'} not on it.
        </>
      )}
    </p>
  );
}

/** Gives a batch its roster; one of which a part is here goes on. */
function UploadSheet({ gid, close }: { readonly gid: string; readonly close: () => void }) {
  const [chosen, choose] = useState(NO_ROSTER);
  const { file, names } = chosen;
  const act = async (): Promise<void> => {
    if (file !== undefined) upload(gid, file, names);
  };
  return (
    <Sheet title="Upload the roster" verb="Upload" ready={file !== undefined} act={act} close={close}>
      <p>
        Once all of it is here and is what the maker has signed, only the devices on it are let in; until then
        nothing changes.
      </p>
      <RosterFields chosen={chosen} change={choose} />
    </Sheet>
  );
}

/** The devices on the roster of a batch, whether they have come or not. */
export function RosterPage({ gid, route }: { readonly gid: string; readonly route: Route }) {
  const [asks, ask] = useState(false);
  const [done, setDone] = useState<string>();
  const state = (route.query.get('state') ?? undefined) as State;
  const after = route.query.get('after') ?? undefined;
  const status = useQuery(`roster ${gid}`, ['group', 'device'], () => run('roster-show', { gid }));
  const query = useQuery(`roster ${gid} ${route.query}`, ['group', 'device'], () =>
    run('roster-list', { gid, state, limit: PAGE_ROWS, after }),
  );
  const { roster, name } = status.data ?? {};
  return (
    <Page
      title="Roster"
      sub={name === undefined ? undefined : <GroupLink gid={gid} name={name} />}
      actions={
        <>
          <Export list="roster-list" filter={{ gid, state }} />
          {may('devices.standing') && roster?.state === 'in-force' && (
            <button type="button" class="danger" onClick={() => ask(true)}>
              Ban or unban
            </button>
          )}
        </>
      }
    >
      {done !== undefined && (
        <p class="note" role="status">
          {done}
        </p>
      )}
      {roster?.state === 'in-force' && (
        <p class="big" role="status">
          {(roster.seen ?? 0).toLocaleString('en')} of {count(roster.devices, 'device')} seen
        </p>
      )}
      <Filters route={route} filters={FILTERS} />
      <ListTable
        caption="Devices on the roster"
        query={query}
        columns={COLUMNS}
        keyOf={({ line }) => line}
        route={route}
        empty={<p>No device on the roster is like that.</p>}
      />
      {asks && (
        <BanSheet
          gid={gid}
          hasBoxes={roster?.perBox !== null}
          close={() => ask(false)}
          done={(text) => {
            setDone(text);
            query.again();
            status.again();
          }}
        />
      )}
    </Page>
  );
}

/** Bans or unbans a box, or a range of serial numbers, also of devices that have not come. */
function BanSheet({
  gid,
  hasBoxes,
  close,
  done,
}: {
  readonly gid: string;
  readonly hasBoxes: boolean;
  readonly close: () => void;
  readonly done: (text: string) => void;
}) {
  const [change, setChange] = useState<'ban' | 'unban'>('ban');
  const [box, setBox] = useState('');
  const [from, setFrom] = useState('');
  const [to, setTo] = useState('');
  const act = async (): Promise<void> => {
    const part = {
      ...(box !== '' && { box: Number(box) }),
      ...(from.trim() !== '' && { from: from.trim() }),
      ...(to.trim() !== '' && { to: to.trim() }),
    };
    const job = await followed(await run('roster-standing', { gid, change, ...part }));
    const failed = job.failed === 0 ? '' : ` ${job.failed} could not be.`;
    done(
      `Of ${count(job.rows, 'device')} ${job.changed.toLocaleString('en')} were ${change === 'ban' ? 'banned' : 'unbanned'}.${endOf(job)}${failed}`,
    );
  };
  return (
    <Sheet
      title="Ban or unban devices of the roster"
      verb={change === 'ban' ? 'Ban' : 'Unban'}
      danger={change === 'ban'}
      ready={box !== '' || from.trim() !== '' || to.trim() !== ''}
      act={act}
      close={close}
    >
      <ChoiceField
        label="What is to be done"
        value={change}
        change={(value) => setChange(value as 'ban' | 'unban')}
        choices={[
          ['ban', 'Ban'],
          ['unban', 'Unban'],
        ]}
      />
      {hasBoxes && <TextField label="Box" type="number" value={box} change={setBox} />}
      <TextField label="From serial number" value={from} change={setFrom} maxLength={64} />
      <TextField
        label="To serial number"
        value={to}
        change={setTo}
        maxLength={64}
        hint="GW-9 is before GW-10. The same number twice: that one."
      />
      <p>A device that has not come yet is refused when it does; a tunnel that is there is cut.</p>
    </Sheet>
  );
}
