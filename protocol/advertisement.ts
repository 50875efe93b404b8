import { concat, u16, u32 } from './bytes.ts';
import { formatIpv6, type Prefix } from './ipv6.ts';

/*
 * The router advertisement (RFC 4861 §4.2) of a gateway on its LAN, from its type on; the kernel computes the checksum:
 *
 *   0  | 86 | 00 | checksum, u16 | hop limit 40 | flags    | router lifetime, u16 |     80: M, 40: O (DHCPv6); 18: a default router of low preference (RFC 4191)
 *   8  | reachable time, u32     | retransmission time, u32                       |     unspecified
 *  16  | 05 | 01 | 00 00 | MTU, u32                                               |
 *  24  | 03 | 04 | 40 | C0 | valid lifetime, u32 | preferred lifetime, u32 | 0, u32 | prefix, 16 |     on the link, for addresses of one's own (RFC 4862)
 *  56  | 18 | 03 | length | 00 | lifetime, u32 | prefix, 16 |     for each route, of medium preference (RFC 4191)
 *      | 19 | 1 + 2n | 00 00 | lifetime, u32 | n addresses |     DNS servers, if there are any (RFC 8106)
 */

const SOLICITATION = 133;
const ADVERTISEMENT = 134;
const HOP_LIMIT = 64;
const LOW_PREFERENCE = 0x18;
const MANAGED = 0x80;
const OTHER = 0x40;
const ON_LINK_AND_AUTONOMOUS = 0xc0;

/** What machines on the LAN are told. Lifetimes in seconds. */
export interface LanAdvertisement {
  /** A /64. */
  readonly prefix: Prefix;
  readonly mtu: number;
  /** What is reached by the gateway. */
  readonly routes: readonly Prefix[];
  /** Addresses are given by DHCPv6 (M), and so is what else machines may ask for (O). */
  readonly managed: boolean;
  readonly other: boolean;
  /** DNS servers, 16 bytes each; 64 at most. */
  readonly dns: readonly Uint8Array[];
  /** 0: the gateway is no router any more. */
  readonly routerLifetime: number;
  /** How long an address in the prefix may be used, and how long for what begins; both 0: no more. */
  readonly validLifetime: number;
  readonly preferredLifetime: number;
}

/** The whole message. */
export function encodeLanAdvertisement(advertisement: LanAdvertisement): Uint8Array {
  const { prefix, mtu, routes, routerLifetime, validLifetime, preferredLifetime } = advertisement;
  const { managed, other, dns } = advertisement;
  const flags = LOW_PREFERENCE | (managed ? MANAGED : 0) | (other ? OTHER : 0);
  return concat(
    Uint8Array.of(ADVERTISEMENT, 0, 0, 0, HOP_LIMIT, flags),
    u16(routerLifetime),
    new Uint8Array(8),
    Uint8Array.of(5, 1, 0, 0),
    u32(mtu),
    Uint8Array.of(3, 4, prefix.length, ON_LINK_AND_AUTONOMOUS),
    u32(validLifetime),
    u32(preferredLifetime),
    u32(0),
    prefix.address,
    ...routes.map(({ address, length }) =>
      concat(Uint8Array.of(24, 3, length, 0), u32(routerLifetime), address),
    ),
    ...(dns.length === 0 ? [] : [Uint8Array.of(25, 1 + 2 * dns.length, 0, 0), u32(routerLifetime), ...dns]),
  );
}

const SOURCE_ADDRESS_OPTION = 1;

/** Whether a message (from its type on) from `source` (16 bytes), with hop limit 255 and a right checksum, is a router solicitation (RFC 4861 §6.1.1). */
export function isLanSolicitation(source: Uint8Array, message: Uint8Array): boolean {
  if (message.length < 8 || message[0] !== SOLICITATION || message[1] !== 0) return false;
  const hasNoAddress = formatIpv6(source) === '::';
  for (let at = 8; at < message.length; ) {
    const length = 8 * (message[at + 1] ?? 0);
    if (length === 0 || length > message.length - at) return false;
    if (hasNoAddress && message[at] === SOURCE_ADDRESS_OPTION) return false;
    at += length;
  }
  return true;
}
