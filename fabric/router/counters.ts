/**
 * Why a packet went no further.
 *
 * - `malformed`: not an IPv6 packet whose length field is its size
 * - `spoofed`: the source is not the sending device's address
 * - `unroutable`: multicast, link-local, loopback or unspecified destination (fe80::1 answers echo requests only)
 * - `foreign-network`: the destination is a device of another network
 * - `offline`: the destination is a device without a tunnel, or the host asked for an address nobody has
 * - `no-tun`: for the host or the outside, and the router has no TUN
 * - `tun-refused`: the kernel did not take it
 * - `too-long`: longer than a frame may carry
 * - `queue-full`: the destination's connection is too slow; counted at the destination
 */
export type DropCause =
  | 'malformed'
  | 'spoofed'
  | 'unroutable'
  | 'foreign-network'
  | 'offline'
  | 'no-tun'
  | 'tun-refused'
  | 'too-long'
  | 'queue-full';

/** Packets and bytes of them, without frame headers. */
export interface Flow {
  packets: number;
  bytes: number;
}

/** What happened on one session, or on all since the start. Received and sent are the router's view. */
export interface Counters {
  readonly received: Flow;
  readonly sent: Flow;
  readonly drops: Record<DropCause, number>;
}

/** All zero. */
export function newCounters(): Counters {
  return {
    received: { packets: 0, bytes: 0 },
    sent: { packets: 0, bytes: 0 },
    drops: {
      malformed: 0,
      spoofed: 0,
      unroutable: 0,
      'foreign-network': 0,
      offline: 0,
      'no-tun': 0,
      'tun-refused': 0,
      'too-long': 0,
      'queue-full': 0,
    },
  };
}

/** Adds one packet of `bytes` bytes. */
export function count(flow: Flow, bytes: number): void {
  flow.packets += 1;
  flow.bytes += bytes;
}

/** A copy that later packets do not change. */
export function snapshot(counters: Counters): Counters {
  return { received: { ...counters.received }, sent: { ...counters.sent }, drops: { ...counters.drops } };
}
