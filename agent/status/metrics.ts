import type { Counters } from '../tunnel/session.ts';
import type { Status } from './status.ts';

/** One metric: its name behind `enf_agent_`, its kind, its meaning, and its samples. Without samples it is left out. */
interface Metric {
  readonly name: string;
  readonly kind: 'gauge' | 'counter';
  readonly help: string;
  samples(view: View): readonly Sample[];
}

type Labels = { readonly [label: string]: string };
type Sample = readonly [value: number, labels?: Labels];

interface View {
  readonly status: Status;
  readonly counters: Counters | undefined;
  readonly residentBytes: number;
}

const PREFIX = 'enf_agent_';
const seconds = (time: string): number => Date.parse(time) / 1_000;

function gauge(name: string, help: string, samples: Metric['samples']): Metric {
  return { name, kind: 'gauge', help, samples };
}

function counted(name: string, help: string, of: (counters: Counters) => number): Metric {
  return {
    name: `${name}_total`,
    kind: 'counter',
    help,
    samples: ({ counters }) => (counters ? [[of(counters)]] : []),
  };
}

/** All of them; docs/api.md has a line for each. */
export const METRICS: readonly Metric[] = [
  gauge('info', 'Always 1; version, mode and address as labels.', ({ status }) => [
    [1, { version: status.version, mode: status.mode, address: status.address ?? '' }],
  ]),
  gauge('online', '1 while the tunnel is up, else 0.', ({ status }) => [
    [status.situation === 'online' || status.situation === 'silent' ? 1 : 0],
  ]),
  gauge(
    'silent_since_seconds',
    'When the router was last heard, Unix time; absent unless it is late with an answer.',
    ({ status }) => (status.situation === 'silent' ? [[seconds(status.since)]] : []),
  ),
  gauge('situation', 'Always 1; what the agent is doing as a label.', ({ status }) => [
    [1, { situation: status.situation }],
  ]),
  gauge('situation_since_seconds', 'When this situation began, Unix time.', ({ status }) => [
    [seconds(status.since)],
  ]),
  gauge('trouble', 'Always 1, with the failure code as a label; absent without trouble.', ({ status }) =>
    status.trouble ? [[1, { code: status.trouble.code }]] : [],
  ),
  gauge('failed_attempts', 'Failed attempts in a row.', ({ status }) => [[status.trouble?.attempts ?? 0]]),
  gauge(
    'next_try_seconds',
    'When the agent tries again, Unix time; absent unless it is waiting.',
    ({ status }) => (status.trouble?.nextTry ? [[seconds(status.trouble.nextTry)]] : []),
  ),
  gauge(
    'last_handshake_seconds',
    'When the identity was provisioned, Unix time; absent before.',
    ({ status }) => (status.lastHandshake ? [[seconds(status.lastHandshake)]] : []),
  ),
  gauge(
    'certificate_not_after_seconds',
    'When the certificate of a CA expires, Unix time; absent without one.',
    ({ status }) => (status.certificate ? [[seconds(status.certificate.notAfter)]] : []),
  ),
  {
    name: 'handshakes_total',
    kind: 'counter',
    help: 'XTT handshakes since the start.',
    samples: ({ status }) => [[status.handshakes]],
  },
  gauge('state_quarantined_files', 'Unreadable state files that were renamed at the start.', ({ status }) => [
    [status.state.quarantined.length],
  ]),
  gauge('resident_bytes', 'Memory of the process.', ({ residentBytes }) => [[residentBytes]]),
  counted('connections', 'Finished TLS handshakes.', (of) => of.connections),
  counted('resumptions', 'Finished TLS handshakes that resumed a session.', (of) => of.resumptions),
  counted('heartbeats', 'Heartbeats sent.', (of) => of.heartbeats),
  counted('sent_packets', 'Packets of the host sent into the tunnel.', (of) => of.sentPackets),
  counted('sent_bytes', 'Bytes of the packets sent into the tunnel.', (of) => of.sentBytes),
  counted('received_packets', 'Packets delivered to the host.', (of) => of.receivedPackets),
  counted('received_bytes', 'Bytes of the packets delivered to the host.', (of) => of.receivedBytes),
  {
    name: 'dropped_packets_total',
    kind: 'counter',
    help: 'Packets dropped, by direction and reason.',
    samples: ({ counters }) => (counters ? dropped(counters) : []),
  },
  counted(
    'sent_bursts',
    'Large packets of the host (GSO), sent whole or segmented by the agent.',
    (of) => of.sentBursts,
  ),
  counted(
    'coalesced_packets',
    'Received packets that were coalesced into large ones for the host (GRO).',
    (of) => of.coalescedPackets,
  ),
  counted(
    'superseded_acks',
    'Received TCP acknowledgements not delivered to the host: a later one replaced them.',
    (of) => of.supersededAcks,
  ),
  counted('received_bursts', 'Large packets delivered to the host.', (of) => of.receivedBursts),
  counted('sent_records', 'TLS records written.', (of) => of.sentRecords),
  counted('received_records', 'TLS records read.', (of) => of.receivedRecords),
  counted('socket_full', 'Times the socket was full.', (of) => of.socketFull),
  counted('congestion_marks', 'Packets marked with ECN Congestion Experienced.', (of) => of.outMarked),
  counted('queued_packets', 'Packets and large packets that were queued.', (of) => of.queuedPackets),
  counted(
    'queue_delay_seconds',
    'Total time they were queued.',
    (of) => of.queueDelayTotalMicroseconds / 1e6,
  ),
  {
    name: 'queue_delay_max_seconds',
    kind: 'gauge',
    help: 'Longest time that one was queued.',
    samples: ({ counters }) => (counters ? [[counters.queueDelayMaxMicroseconds / 1e6]] : []),
  },
  {
    name: 'queue_bytes',
    kind: 'gauge',
    help: 'Bytes waiting to be sent.',
    samples: ({ counters }) => (counters ? [[counters.queueBytes]] : []),
  },
];

function dropped(of: Counters): readonly Sample[] {
  const reasons: readonly [direction: string, reason: string, count: number][] = [
    ['out', 'malformed', of.outMalformed],
    ['out', 'foreign', of.outForeign],
    ['out', 'too-long', of.outTooLong],
    ['out', 'offline', of.outOffline],
    ['out', 'overflow', of.outOverflow],
    ['out', 'late', of.outLate],
    ['in', 'malformed', of.inMalformed],
    ['in', 'foreign', of.inForeign],
    ['in', 'refused', of.inRefused],
  ];
  return reasons.map(([direction, reason, count]) => [count, { direction, reason }]);
}

/** The metrics in Prometheus' text format 0.0.4. */
export function renderMetrics(status: Status, counters: Counters | undefined, residentBytes: number): string {
  return METRICS.flatMap((metric) => {
    const name = PREFIX + metric.name;
    const samples = metric.samples({ status, counters, residentBytes });
    if (samples.length === 0) return [];
    return [
      `# HELP ${name} ${metric.help}`,
      `# TYPE ${name} ${metric.kind}`,
      ...samples.map(([value, labels]) => `${name}${render(labels)} ${value}`),
    ];
  })
    .join('\n')
    .concat('\n');
}

function render(labels: Labels | undefined): string {
  if (labels === undefined) return '';
  const pairs = Object.entries(labels).map(([label, value]) => `${label}="${escaped(value)}"`);
  return `{${pairs.join(',')}}`;
}

const escaped = (value: string): string =>
  value.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n');
