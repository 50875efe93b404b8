import { isIPv4, isIPv6 } from 'node:net';
import { toHex } from '../../protocol/bytes.ts';
import { parseIpv6 } from '../../protocol/ipv6.ts';

/** A peer's address without zone; an IPv4-mapped one (`::ffff:192.0.2.1`) as IPv4. */
export function peerAddress(remote: string | undefined): string {
  return (remote ?? 'unknown').replace(/%.*$/, '').replace(/^::ffff:(?=\d+\.)/i, '');
}

/**
 * The source that limits apply to: an IPv4 address, or the /64 of an IPv6 address, because one party can
 * easily have many addresses of a /64. Anything else counts as one common source.
 */
export function sourceOf(remote: string | undefined): string {
  const address = peerAddress(remote);
  if (isIPv4(address)) return address;
  if (!isIPv6(address) || address.includes('.')) return 'unknown';
  return `${toHex(parseIpv6(address).subarray(0, 8))}/64`;
}
