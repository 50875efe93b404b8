import { useState } from 'preact/hooks';
import type { HandshakeView } from '../../fabric/operations/views/handshakes.ts';
import { run } from '../api/operations.ts';
import { hrefOf, type Route } from '../app/address.ts';
import { useQuery } from '../app/query.ts';
import { addressWords, count, resultWords, shortGid, whereWords } from '../app/words.ts';
import { HourCalendar } from '../charts/hour-calendar.tsx';
import { Export } from '../parts/export.tsx';
import { Filters } from '../parts/filters.tsx';
import { DeviceLink } from '../parts/link.tsx';
import { Page, Section } from '../parts/page.tsx';
import { type Column, ListTable, ownerColumn, PAGE_ROWS, Rows } from '../parts/table.tsx';
import { When } from '../parts/when.tsx';

const COLUMNS: readonly Column<HandshakeView>[] = [
  { name: 'When', kind: 'main', cell: ({ at }) => <When at={at} /> },
  {
    name: 'Result',
    cell: ({ result, proven }) => (
      <span class={result === 'ok' ? 'good' : 'bad'} title={result}>
        {resultWords(result)}
        {!proven && <span class="quiet"> (claimed, not proven)</span>}
      </span>
    ),
  },
  {
    name: 'Device',
    cell: ({ address }) =>
      address === null ? <span class="quiet">none</span> : <DeviceLink address={address} />,
  },
  {
    name: 'Batch',
    // Enough to tell one from another: its page has all of it.
    cell: ({ gid }) =>
      gid === null ? (
        <span class="quiet">not said</span>
      ) : (
        <a href={hrefOf(['batches', gid])}>
          <code>{shortGid(gid).slice(0, 9)}</code>
        </a>
      ),
  },
  { name: 'From', cell: ({ source }) => <code class="source">{addressWords(source)}</code> },
  { name: 'Registered in', cell: whereWords },
];

const FILTERS = [
  {
    field: 'result',
    label: 'Result',
    choices: [
      ['', 'all'],
      ['ok', 'admitted'],
      ['refused', 'refused'],
      ['net.abandoned', 'left by who began it'],
      ['fabric.group-not-admitted', 'batch not admitted'],
      ['fabric.device-banned', 'banned'],
      ['fabric.group-suspended', 'suspended'],
      ['fabric.group-full', 'batch is full'],
      ['fabric.country-unexpected', 'from elsewhere'],
    ],
  },
] as const;

/** Handshakes, good and refused, newest first. */
export function Handshakes({ route }: { readonly route: Route }) {
  const field = (name: string): string | undefined => route.query.get(name) ?? undefined;
  const filter = { result: field('result'), gid: field('gid'), device: field('device') };
  const query = useQuery(`handshakes ${route.query}`, ['handshake'], () =>
    run('handshake-list', { ...filter, limit: PAGE_ROWS, after: field('after') }),
  );
  const counts = useQuery('handshake counts', ['handshake'], () => run('handshake-counts', {}));
  return (
    <Page
      title="Handshakes"
      sub="Each try of a device to get its identity, and where the address it came from is registered."
      actions={<Export list="handshake-list" filter={filter} />}
    >
      <Calendar />
      <Filters route={route} filters={FILTERS} />
      <ListTable
        caption="Handshakes"
        query={query}
        columns={[...COLUMNS, ...ownerColumn<HandshakeView>('nobody')]}
        keyOf={(row) => `${row.at} ${row.source} ${row.address}`}
        route={route}
        empty={<p>No handshake is like that.</p>}
      />
      {(counts.data?.length ?? 0) > 0 && (
        <Section title="Counted only">
          <p class="quiet">Old ones, and those of a flood, have no row of their own.</p>
          <Rows
            caption="Handshakes that are counted only"
            rows={counts.data ?? []}
            keyOf={({ result }) => result}
            columns={[
              { name: 'Result', kind: 'main', cell: ({ result }) => resultWords(result) },
              { name: 'Number', kind: 'number', cell: ({ times }) => count(times, 'time') },
              { name: 'Last', cell: ({ last }) => <When at={last} /> },
            ]}
          />
        </Section>
      )}
    </Page>
  );
}

const CALENDAR_DAYS = 28;

/** When handshakes came, of four weeks. */
function Calendar() {
  const [shown, show] = useState(false);
  return (
    <details open={shown} onToggle={(event) => show(event.currentTarget.open)}>
      <summary>Four weeks, hour by hour</summary>
      {shown && <Hours />}
    </details>
  );
}

/** Asked for only while somebody looks at it. */
function Hours() {
  const { data } = useQuery('calendar', ['handshake'], () =>
    run('handshake-hours', { hours: CALENDAR_DAYS * 24 }),
  );
  return data === undefined ? null : <HourCalendar hours={data.rows} />;
}
