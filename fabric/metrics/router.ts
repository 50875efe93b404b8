import type { RouterCounters } from '../../tunnel/router.ts';
import { totalOf } from '../router/counters.ts';
import type { Router } from '../router/router.ts';
import { exposition } from './exposition.ts';

type Counter = Exclude<keyof RouterCounters, 'drops'>;

/** Counted on the connections of the devices: the sum over all sessions since the router's start. */
const DEVICES: readonly (readonly [string, Counter, string])[] = [
  ['received_packets_total', 'receivedPackets', 'Packets that devices sent.'],
  ['received_bytes_total', 'receivedBytes', 'Bytes of them.'],
  ['sent_packets_total', 'sentPackets', 'Packets put into the queues of devices.'],
  ['sent_bytes_total', 'sentBytes', 'Bytes of them.'],
  ['received_records_total', 'receivedRecords', 'TLS records read.'],
  ['sent_records_total', 'sentRecords', 'TLS records written.'],
  ['socket_full_total', 'socketFull', 'Times that a socket accepted no more data.'],
  ['congestion_marks_total', 'outMarked', 'Packets marked as having experienced congestion (ECN).'],
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
    'TCP acknowledgements not written to the TUN because a later one was.',
  ],
];

/** The router's counters in Prometheus' text format; `traffic` as it is now, unless it was read before. */
export function routerMetrics(router: Router, traffic = router.traffic()): string {
  const { devices, host } = traffic;
  const { put, text } = exposition('enf_router_');
  const { agent, c } = router.sizes;
  put('sessions', 'gauge', 'Tunnels.', ['{peer="agent"}', agent], ['{peer="c"}', c]);
  put('pending_handshakes', 'gauge', 'Handshakes in progress, and peers that wait for authorization.', [
    '',
    router.pendingHandshakes,
  ]);
  put('twins_total', 'counter', 'Times that two devices were found to have one key.', ['', router.clones]);
  put('too_frequent_total', 'counter', 'Connections refused because their device connects too often.', [
    '',
    router.tooOften,
  ]);
  put('rules', 'gauge', 'Rules of networks that are in force.', ['', router.rules]);
  put('threads', 'gauge', 'Threads that carry packets.', ['', router.threads]);
  for (const [name, counter, help] of DEVICES) put(name, 'counter', help, ['', devices?.[counter] ?? 0]);
  for (const [name, counter, help] of HOST) put(name, 'counter', help, ['', host[counter]]);
  const drops = Object.entries(totalOf(traffic).drops).map(
    ([cause, times]) => [`{cause="${cause}"}`, times] as const,
  );
  put('dropped_total', 'counter', 'Packets that were dropped; a burst counts once.', ...drops);
  put('queue_bytes', 'gauge', 'Bytes in the queues of devices.', ['', devices?.queueBytes ?? 0]);
  const slowest = (devices?.queueDelayMaxMicroseconds ?? 0) / 1e6;
  put('queue_delay_max_seconds', 'gauge', 'The longest time that a packet waited in a queue.', ['', slowest]);
  put('queued_packets_total', 'counter', 'Packets and bursts that were put into queues.', [
    '',
    devices?.queuedPackets ?? 0,
  ]);
  const waited = (devices?.queueDelayTotalMicroseconds ?? 0) / 1e6;
  put(
    'queue_delay_seconds_total',
    'counter',
    'Sum of the time that sent packets and bursts waited in queues.',
    ['', waited],
  );
  return text();
}
