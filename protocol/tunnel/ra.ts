import { concat, equal, u16, u32 } from '../bytes.ts';
import type { Prefix } from '../ipv6.ts';
import { icmp6Checksum } from './icmp6.ts';
import { encodePacket6, parsePacket } from './packet.ts';
import { ICMPV6, ROUTER_ADDRESS } from './wire.ts';

/*
 * A router advertisement (RFC 4861 §4.2) from fe80::1 to ff02::1, as enftun sends it (enftun.md §7.1), hop limit 255:
 *
 *  40  | 86 | 00 | checksum, u16                |
 *  44  | 00 | 88 | lifetime, u16                |   managed (DHCPv6), preference high; lifetime 0: no default route
 *  48  | 00 00 00 00 | 00 00 00 00              |   reachable time, retransmission time: unspecified
 *  56  | 05 | 01 | 00 00 | MTU, u32             |
 *  64  | 18 | 03 | prefix length | 08 | FF FF FF FF | prefix, 16 |     for each route: high preference, for ever
 */

const SOLICITATION = 133;
const ADVERTISEMENT = 134;
const MANAGED_HIGH = 0x88;
const HIGH = 0x08;
/** Seconds; the longest there is (RFC 4861 §6.2.1). */
const DEFAULT_ROUTE_LIFETIME = 9_000;

/** ff02::1 and ff02::2. */
export const ALL_NODES: Uint8Array = linkMulticast(1);
export const ALL_ROUTERS: Uint8Array = linkMulticast(2);

/** What a host behind the tunnel's interface is told. */
export interface Advertisement {
  /** The own address, 16 bytes: its /64 is the first route. */
  readonly own: Uint8Array;
  readonly mtu: number;
  /** More routes. One of length 0 stands for `defaultRoute`. */
  readonly prefixes: readonly Prefix[];
  readonly defaultRoute: boolean;
}

/** The whole packet. */
export function encodeRouterAdvertisement({ own, mtu, prefixes, defaultRoute }: Advertisement): Uint8Array {
  const ownNetwork: Prefix = { address: own.map((byte, i) => (i < 8 ? byte : 0)), length: 64 };
  const routes = [ownNetwork, ...prefixes.filter(({ length }) => length > 0)];
  const lifetime = defaultRoute || prefixes.some(({ length }) => length === 0) ? DEFAULT_ROUTE_LIFETIME : 0;
  const message = concat(
    Uint8Array.of(ADVERTISEMENT, 0, 0, 0, 0, MANAGED_HIGH),
    u16(lifetime),
    new Uint8Array(8),
    Uint8Array.of(5, 1, 0, 0),
    u32(mtu),
    ...routes.map(({ address, length }) =>
      concat(Uint8Array.of(24, 3, length, HIGH), u32(0xffffffff), address),
    ),
  );
  message.set(u16(icmp6Checksum(ROUTER_ADDRESS, ALL_NODES, message)), 2);
  return encodePacket6(ICMPV6, ROUTER_ADDRESS, ALL_NODES, message);
}

/** True for a router solicitation that has come over no router: to ff02::2, hop limit 255, with a right checksum (RFC 4861 §6.1.1). */
export function isRouterSolicitation(packet: Uint8Array): boolean {
  const parsed = parsePacket(packet);
  if (parsed?.version !== 6 || parsed.nextHeader !== ICMPV6 || !equal(parsed.destination, ALL_ROUTERS))
    return false;
  const { payload, source, destination } = parsed;
  if (payload.length < 8 || payload[0] !== SOLICITATION || payload[1] !== 0 || packet[7] !== 255)
    return false;
  return icmp6Checksum(source, destination, payload) === 0;
}

function linkMulticast(group: number): Uint8Array {
  const address = new Uint8Array(16);
  address.set([0xff, 0x02]);
  address[15] = group;
  return address;
}
