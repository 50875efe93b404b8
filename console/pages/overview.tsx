import { run, type ViewOf } from '../api/operations.ts';
import { hrefOf, type Route } from '../app/address.ts';
import { useQuery } from '../app/query.ts';
import { may } from '../app/session.ts';
import { count, outWords, placeWords } from '../app/words.ts';
import { auditSentence } from '../audit/sentence.ts';
import { ArrivalBar } from '../charts/arrival-bar.tsx';
import { HourBars } from '../charts/hour-bars.tsx';
import { GroupLink } from '../parts/link.tsx';
import { Page, Section } from '../parts/page.tsx';
import { ProblemBox, ProblemPage } from '../parts/problem.tsx';
import { Rows } from '../parts/table.tsx';
import { When } from '../parts/when.tsx';

type Numbers = ViewOf<'overview'>;

const PLACES_SHOWN = 6;
const BATCHES_SHOWN = 200;

/** What there is, what has happened, and what wants to be looked at. */
export function Overview(_: { readonly route: Route }) {
  const { data, problem, again } = useQuery('overview', ['device', 'group', 'handshake', 'audit'], () =>
    run('overview', {}),
  );
  if (data === undefined)
    return problem === undefined ? null : <ProblemPage title="Overview" problem={problem} again={again} />;
  return (
    <Page
      title="Overview"
      sub={<Sentence numbers={data} />}
      actions={
        may('handshakes.read') && (
          <a class="button" href={hrefOf(['wall'])}>
            For a wall
          </a>
        )
      }
    >
      {problem !== undefined && <ProblemBox problem={problem} again={again} />}
      {data.alarms > 0 && may('alarms.read') && (
        <p class="note note-warn" role="status">
          <a href={hrefOf(['alarms'])}>{count(data.alarms, 'alarm')}</a>{' '}
          {data.alarms === 1 ? 'wants' : 'want'} to be looked at.
        </p>
      )}
      {data.groups === 0 ? <First hasNetwork={data.networks > 0} /> : <Filled numbers={data} />}
    </Page>
  );
}

function Sentence({ numbers: { devices, groups } }: { readonly numbers: Numbers }) {
  const { total, online, suspended } = devices;
  const others = [...outWords(devices), ...(suspended > 0 ? [`${suspended} suspended`] : [])];
  return (
    <span role="status">
      {count(total, 'device')} of {count(groups, 'batch', 'batches')};{' '}
      {online === null
        ? 'no fabric is serving, so nobody knows who is online'
        : `${online.toLocaleString('en')} online`}
      {others.length > 0 && `; ${others.join(', ')}`}
    </span>
  );
}

/** Before the first batch. */
function First({ hasNetwork }: { readonly hasNetwork: boolean }) {
  return (
    <div class="empty first">
      <h2>{hasNetwork ? 'Scan your first label' : 'Add a network, then scan your first label'}</h2>
      <p>
        The label is on the box: a square code. It admits the whole batch; each device then gets its address
        by itself when it is switched on.
      </p>
      <p>
        {!hasNetwork && may('networks.write') && (
          <a class="button primary" href={hrefOf(['networks'])}>
            Add a network
          </a>
        )}
        {hasNetwork && may('groups.claim') && (
          <a class="button primary" href={hrefOf(['claim'])}>
            Scan a label
          </a>
        )}
      </p>
    </div>
  );
}

function Filled({ numbers }: { readonly numbers: Numbers }) {
  const { ok, refused, abandoned, hours } = numbers.handshakes;
  const places = numbers.countries.slice(0, PLACES_SHOWN);
  return (
    <div class="columns">
      <Section title="Handshakes of 24 hours">
        <p>
          {count(ok, 'handshake')} admitted,{' '}
          <a href={hrefOf(['handshakes'], { result: 'refused' })}>{refused.toLocaleString('en')} refused</a>
          {abandoned > 0 && (
            <>
              ,{' '}
              <a href={hrefOf(['handshakes'], { result: 'net.abandoned' })}>
                {abandoned.toLocaleString('en')} left by who began them
              </a>
            </>
          )}
        </p>
        <HourBars hours={hours} />
      </Section>
      <Expected />
      <Section title="Places" actions={<a href={hrefOf(['map'])}>Map</a>}>
        <Rows
          caption="Devices by country"
          rows={places}
          keyOf={({ country }) => country ?? '?'}
          columns={[
            { name: 'Place', kind: 'main', cell: ({ country }) => placeWords(country) },
            { name: 'Devices', kind: 'number', cell: ({ devices }) => devices.toLocaleString('en') },
            { name: 'Refused', kind: 'number', cell: (place) => place.refused.toLocaleString('en') },
          ]}
        />
      </Section>
      {may('audit.read') && <Newest />}
    </div>
  );
}

/** Batches of which devices are still expected. */
function Expected() {
  const { data } = useQuery('batches expected', ['group', 'device'], () =>
    run('group-list', { limit: BATCHES_SHOWN }),
  );
  const open = (data?.rows ?? []).filter(
    ({ announced, devices }) => announced !== null && devices !== announced,
  );
  if (open.length === 0) return null;
  return (
    <Section title="Expected">
      <Rows
        caption="Batches of which devices are expected"
        rows={open}
        keyOf={({ gid }) => gid}
        columns={[
          { name: 'Batch', kind: 'main', cell: ({ gid, name }) => <GroupLink gid={gid} name={name} /> },
          {
            name: 'Arrived',
            cell: ({ devices, announced }) => <ArrivalBar arrived={devices} announced={announced} />,
          },
        ]}
      />
    </Section>
  );
}

function Newest() {
  const { data } = useQuery('newest entries', ['audit'], () => run('audit-list', { limit: 8 }));
  return (
    <Section title="Lately" actions={<a href={hrefOf(['audit'])}>Audit</a>}>
      <ul class="lately">
        {(data?.rows ?? []).map((entry) => (
          <li key={entry.seq}>
            {auditSentence(entry)}{' '}
            <span class="quiet">
              <When at={entry.at} />
            </span>
          </li>
        ))}
      </ul>
    </Section>
  );
}
