import type { DeviceDetails } from '../../fabric/operations/views/devices.ts';
import type { AuditView } from '../../fabric/operations/views/handshakes.ts';
import { run } from '../api/operations.ts';
import { useQuery } from '../app/query.ts';
import { may } from '../app/session.ts';
import { count, resultWords, whereWords } from '../app/words.ts';
import { auditSentence } from '../audit/sentence.ts';
import { Section } from '../parts/page.tsx';
import { Rows } from '../parts/table.tsx';
import { When } from '../parts/when.tsx';

/** Entries of the audit trail that are shown of one device. */
const ENTRIES = 50;

/** Something that happened to a device. */
export interface Moment {
  readonly at: string;
  readonly what: string;
  readonly good: boolean | undefined;
  readonly from: string;
  readonly place: string;
}

/** Handshakes, the newest tunnel and what was done with a device, newest first. */
export function momentsOf(device: DeviceDetails, entries: readonly AuditView[]): readonly Moment[] {
  const { lastTunnel: tunnel } = device;
  const moments: Moment[] = [
    ...device.handshakes.map(({ at, source, country, city, proven, result }) => ({
      at,
      what: `Handshake: ${resultWords(result)}${proven ? '' : ' (claimed, not proven)'}`,
      good: result === 'ok',
      from: source,
      place: whereWords({ country, city }),
    })),
    ...entries.map((entry) => ({
      at: entry.at,
      what: auditSentence(entry),
      good: undefined,
      from: '',
      place: '',
    })),
    ...(tunnel === null
      ? []
      : [{ at: tunnel.at, what: 'Tunnel up', good: true, from: tunnel.from, place: '' }]),
    ...(tunnel === null || tunnel.ended === null
      ? []
      : [{ at: tunnel.ended, what: 'Tunnel down', good: undefined, from: '', place: '' }]),
  ];
  return moments.sort((a, b) => (a.at < b.at ? 1 : a.at > b.at ? -1 : 0));
}

const COLUMNS = [
  { name: 'When', kind: 'main', cell: ({ at }: Moment) => <When at={at} /> },
  {
    name: 'What',
    cell: ({ what, good }: Moment) => (
      <span class={good === undefined ? '' : good ? 'good' : 'bad'}>{what}</span>
    ),
  },
  { name: 'From', cell: ({ from }: Moment) => (from === '' ? null : <code class="source">{from}</code>) },
  { name: 'Registered in', cell: ({ place }: Moment) => place },
] as const;

/** Everything that is kept of one device. */
export function Timeline({ device }: { readonly device: DeviceDetails }) {
  const { address } = device;
  const trail = useQuery(`trail ${address} ${may('audit.read')}`, ['audit', 'device'], async () =>
    may('audit.read') ? (await run('audit-list', { limit: ENTRIES, subject: address })).rows : [],
  );
  return (
    <Section title="Timeline">
      <Rows
        caption="What happened to this device, newest first"
        rows={momentsOf(device, trail.data ?? [])}
        columns={COLUMNS}
        keyOf={(row) => row.at + row.what}
      />
      {device.earlierHandshakes.map(({ result, times, first }) => (
        <p class="quiet" key={result}>
          Before them {count(times, 'handshake')}: {resultWords(result)}, the first <When at={first} />
        </p>
      ))}
    </Section>
  );
}
