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

/** The prefixes that many sources of one party have in common, in bits; the last is a source itself. */
const V6_PREFIXES = [40, 48, 56, 64];

/**
 * The prefixes that an address is counted by, widest first: IPv4 /24 and address, IPv6 /40, /48, /56 and /64. The last is
 * `sourceOf(remote)`.
 */
export function prefixesOf(remote: string | undefined): string[] {
  const source = sourceOf(remote);
  if (source === 'unknown') return [source];
  if (!source.endsWith('/64')) return [`${source.replace(/\.\d+$/, '')}/24`, source];
  return V6_PREFIXES.map((bits) => `${source.slice(0, bits / 4)}/${bits}`);
}
