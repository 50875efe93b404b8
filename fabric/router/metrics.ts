import type { RouterCounters } from '../../tunnel/router.ts';
import type { Router } from './router.ts';

type Counter = Exclude<keyof RouterCounters, 'drops'>;

/** What the links of the devices count; each since the router's start, over all sessions. */
const DEVICES: readonly (readonly [string, Counter, string])[] = [
  ['received_packets_total', 'receivedPackets', 'Packets that devices sent.'],
  ['received_bytes_total', 'receivedBytes', 'Bytes of them.'],
  ['sent_packets_total', 'sentPackets', 'Packets given to the queues of devices.'],
  ['sent_bytes_total', 'sentBytes', 'Bytes of them.'],
  ['received_records_total', 'receivedRecords', 'TLS records read.'],
  ['sent_records_total', 'sentRecords', 'TLS records written.'],
  ['socket_full_total', 'socketFull', 'Times a connection took no more.'],
  ['congestion_marks_total', 'outMarked', 'Packets marked as having met congestion.'],
];

const HOST: readonly (readonly [string, Counter, string])[] = [
  ['host_sent_packets_total', 'receivedPackets', 'Packets written to the TUN.'],
  ['host_sent_bytes_total', 'receivedBytes', 'Bytes of them.'],
  ['host_received_packets_total', 'sentPackets', 'Packets read from the TUN.'],
  ['host_received_bytes_total', 'sentBytes', 'Bytes of them.'],
  ['host_coalesced_packets_total', 'coalescedPackets', 'Packets joined into large ones for the TUN.'],
  [
    'host_superseded_acks_total',
    'supersededAcks',
    'TCP acknowledgements not written to the TUN: a later one came with them.',
  ],
];

/** Of the text that `routerMetrics` makes. */
export const METRICS_TYPE = 'text/plain; version=0.0.4; charset=utf-8';

/** The router's counters in Prometheus' text format. */
export function routerMetrics(router: Router): string {
  const { devices, host } = router.traffic();
  const lines: string[] = [];
  const put = (
    name: string,
    kind: 'counter' | 'gauge',
    help: string,
    ...samples: (readonly [string, number])[]
  ) => {
    const full = `enf_router_${name}`;
    lines.push(`# HELP ${full} ${help}`, `# TYPE ${full} ${kind}`);
    for (const [labels, value] of samples) lines.push(`${full}${labels} ${value}`);
  };
  const sessions = router.sessions();
  const mine = sessions.filter((session) => session.understandsVerdicts).length;
  put('sessions', 'gauge', 'Tunnels.', ['{peer="agent"}', mine], ['{peer="c"}', sessions.length - mine]);
  put('pending_handshakes', 'gauge', 'Peers not admitted yet.', ['', router.pendingHandshakes]);
  put('twins_total', 'counter', 'Times that two devices were found to have one key.', ['', router.twins]);
  put('threads', 'gauge', 'Threads that carry packets.', ['', router.threads]);
  for (const [name, counter, help] of DEVICES) put(name, 'counter', help, ['', devices?.[counter] ?? 0]);
  for (const [name, counter, help] of HOST) put(name, 'counter', help, ['', host[counter]]);
  const drops = Object.entries(router.counters().drops).map(
    ([cause, times]) => [`{cause="${cause}"}`, times] as const,
  );
  put('dropped_total', 'counter', 'Packets that went no further; a burst counts once.', ...drops);
  put('queue_bytes', 'gauge', 'Bytes that wait for devices.', ['', devices?.queueBytes ?? 0]);
  const slowest = (devices?.queueDelayMaxMicroseconds ?? 0) / 1e6;
  put('queue_delay_max_seconds', 'gauge', 'The longest a packet has waited for a device.', ['', slowest]);
  put('queued_packets_total', 'counter', 'Packets and bursts that were given to queues.', [
    '',
    devices?.queuedPackets ?? 0,
  ]);
  const waited = (devices?.queueDelayTotalMicroseconds ?? 0) / 1e6;
  put('queue_delay_seconds_total', 'counter', 'What those of them that left have waited, together.', [
    '',
    waited,
  ]);
  return `${lines.join('\n')}\n`;
}
