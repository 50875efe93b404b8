export interface RouterLimits {
  /** TLS handshakes under way, in all and per source (IPv4 address, IPv6 /64); when all are taken, the most crowded prefix pays. */
  readonly pending: number;
  readonly pendingPerSource: number;
  /** Refusals a source may collect at once, and how many are forgiven per second; wider prefixes have more of both. */
  readonly refusalBurst: number;
  readonly refusalsPerSecond: number;
  /** Sources remembered. */
  readonly sources: number;
  /** Connections that a device may begin at once, and after how long it may begin one more. */
  readonly connectionBurst: number;
  readonly connectionPeriodMs: number;
  /** Devices of one group that may retire themselves at once, and after how long one more may. */
  readonly departureBurst: number;
  readonly departurePeriodMs: number;
  /** Bytes that may wait for one device. */
  readonly queueBytes: number;
  /** A peer that accepts no data for so long is disconnected. */
  readonly stallMs: number;
  /** How long an orderly close waits for the peer's close. */
  readonly lingerMs: number;
  /** Deadline of a TLS handshake from its ClientHello on, which has four seconds, or this if it is less. */
  readonly handshakeMs: number;
}

/**
 * A pending handshake costs about 50 KB, and a CPU does some 200 of them per second. Refusals are forgiven fast
 * enough for a few banned C peers behind one address, which try once a second for ever.
 */
export const ROUTER_LIMITS: RouterLimits = {
  pending: 1024,
  pendingPerSource: 256,
  refusalBurst: 50,
  refusalsPerSecond: 5,
  sources: 65_536,
  connectionBurst: 120,
  connectionPeriodMs: 5_000,
  departureBurst: 50,
  departurePeriodMs: 60_000,
  queueBytes: 512 * 1024,
  stallMs: 120_000,
  lingerMs: 5_000,
  handshakeMs: 10_000,
};
