import type { RouterCounters } from '../../tunnel/router.ts';

/**
 * Why a packet was dropped.
 *
 * - `malformed`: not an IPv6 packet whose length field is its size, or a super-frame that contradicts itself
 * - `spoofed`: the source is not the sending device's address
 * - `host-spoofed`: from the host's TUN, with the address of a device or one that no router passes on, or neighbour discovery
 * - `unroutable`: multicast, link-local, loopback or unspecified destination (fe80::1 answers echo requests only)
 * - `foreign-network`: the destination is a device of another network, and no rule lets packets pass between them
 * - `refused`: a rule of the device's network does not let it out or in; what other networks send is let in by rules only
 * - `limited`: beyond what the device may send or get in a second; a burst counts as its packets
 * - `offline`: the destination is a device without a tunnel, or the host asked for an address nobody has
 * - `no-tun`: the address is not a device's, and the router has no TUN
 * - `tun-refused`: the kernel refused it
 * - `too-long`: longer than a frame may carry
 * - `queue-full`: the destination's connection is too slow, and this was the flow with the longest queue; counted at the
 *   destination, except for packets that found the queue to another thread full, or whose sender had its share of that, or of what is
 *   asked of the registry
 * - `late`: it waited too long for the destination's connection; counted there
 */
export type DropCause = keyof RouterCounters['drops'];

/** Packets and their bytes, without frame headers. */
export interface Flow {
  readonly packets: number;
  readonly bytes: number;
}

/**
 * What was counted on one session, or on all since the start. Received and sent are the router's view; `sent` counts what was put
 * into the device's queue, also if it was dropped there. A burst in one super-frame counts as its packets, but is dropped as one.
 */
export interface Counters {
  readonly received: Flow;
  readonly sent: Flow;
  readonly drops: Readonly<Record<DropCause, number>>;
}

/** The counters that are shown to users. What the links count as dropped is added to its cause. */
export function countersOf(counted: RouterCounters): Counters {
  const { drops } = counted;
  return {
    received: { packets: counted.receivedPackets, bytes: counted.receivedBytes },
    sent: { packets: counted.sentPackets, bytes: counted.sentBytes },
    drops: {
      ...drops,
      malformed: drops.malformed + counted.inMalformed,
      'too-long': drops['too-long'] + counted.outTooLong,
      'queue-full': drops['queue-full'] + counted.outOverflow,
      late: drops.late + counted.outLate,
    },
  };
}

/** What the native threads have counted. */
export interface Traffic {
  /** Of all connections of admitted devices; undefined if there were none. */
  readonly devices: RouterCounters | undefined;
  /** At the TUN, and of packets that belong to no session. */
  readonly host: RouterCounters;
}

const NOTHING: Flow = { packets: 0, bytes: 0 };

/** The counters of all of it that are shown to users. */
export function totalOf({ devices, host }: Traffic): Counters {
  const drops = hostDropsOf(host);
  if (devices === undefined) return { received: NOTHING, sent: NOTHING, drops };
  const counters = countersOf(devices);
  return { ...counters, drops: addDrops(counters.drops, drops) };
}

/** Packets of the host that no device can get, by cause, as the threads counted them. */
function hostDropsOf(counted: RouterCounters): Counters['drops'] {
  const { drops } = counted;
  return {
    ...drops,
    malformed: drops.malformed + counted.outMalformed + counted.outForeign,
    'too-long': drops['too-long'] + counted.outTooLong,
  };
}

/** The sum of both, cause by cause. */
function addDrops(one: Counters['drops'], other: Counters['drops']): Counters['drops'] {
  const sum = { ...one };
  for (const cause of Object.keys(sum) as DropCause[]) sum[cause] += other[cause];
  return sum;
}

/** Of these the maximum is taken: a sum would mean nothing. */
const EXTREMES: ReadonlySet<string> = new Set(['queueDelayMicroseconds', 'queueDelayMaxMicroseconds']);

/** Adds counters: of delays the longest, of everything else the sum. Undefined if there are none. */
export function addCounters(all: Iterable<RouterCounters>): RouterCounters | undefined {
  let sum: RouterCounters | undefined;
  for (const each of all) {
    if (sum === undefined) {
      sum = each;
      continue;
    }
    const added = { ...sum, drops: addDrops(sum.drops, each.drops) };
    for (const key in each) {
      const name = key as 'sentPackets';
      if (key !== 'drops')
        added[name] = EXTREMES.has(key) ? Math.max(sum[name], each[name]) : sum[name] + each[name];
    }
    sum = added;
  }
  return sum;
}
