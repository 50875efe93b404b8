import { formatIpv6, parseIpv6 } from '../../protocol/ipv6.ts';
import type { Place } from './place.ts';
import { unwrapped } from './special.ts';

/** How much of an address, and of its place, a fabric keeps. */
export interface Privacy {
  readonly address: 'whole' | 'cut' | 'none';
  readonly place: 'city' | 'country' | 'none';
}

/** A network of an IPv4 address, a site of an IPv6 address. */
const KEPT_BYTES = { ipv4: 3, ipv6: 6 } as const;

/** The address as it may be kept: whole, its /24 or /48 ("192.0.2.0/24"), or nothing (""). */
export function keptAddress(address: string, { address: how }: Privacy): string {
  if (how === 'whole') return address;
  const bare = unwrapped(address);
  if (how === 'none' || bare === undefined) return '';
  if (!bare.includes(':')) return `${bare.split('.').slice(0, KEPT_BYTES.ipv4).join('.')}.0/24`;
  const bytes = new Uint8Array(16);
  bytes.set(parseIpv6(bare).subarray(0, KEPT_BYTES.ipv6));
  return `${formatIpv6(bytes)}/48`;
}

/** The place as it may be kept. */
export function keptPlace(place: Place, { place: how }: Privacy): Place | undefined {
  if (how === 'none') return undefined;
  return how === 'country' ? { country: place.country } : place;
}
