import type { TunnelEvent } from './session.ts';

/**
 * Every IPv6 link takes a packet with such a segment (1,280 bytes). Both ends keep to it, so that a tunnel works on a path that loses
 * full packets without an ICMP message; it costs two per cent of the throughput of a fast one.
 */
export const SMALL_SEGMENT = 1_220;

/** The largest TCP segment of the next connection, 0 for the kernel's own, after `event` ended the one with `segment`. */
export function nextSegment(segment: number, event: TunnelEvent): number {
  if (event.kind !== 'down' || !event.silent) return segment;
  // If small segments are lost, too, their size was not the cause.
  return segment === 0 ? SMALL_SEGMENT : 0;
}
