import { equal, readU16 } from '../bytes.ts';
import { matches, parsePrefix } from '../ipv6.ts';
import { type Packet, parsePacket } from './packet.ts';
import { ICMPV6, ROUTER_ADDRESS } from './wire.ts';

/**
 * What may leave a device for the tunnel (enftun.md §7, egress): IPv6 from its own address; IPv4 only if allowed.
 * Router solicitations and DHCPv6, link-local and multicast-listener traffic have other sources and stay.
 * `own` is the device's 16-byte address.
 */
export function allowsEgress(own: Uint8Array, packet: Uint8Array, allowIpv4 = false): boolean {
  const parsed = parsePacket(packet);
  if (parsed === undefined) return false;
  return parsed.version === 4 ? allowIpv4 : equal(parsed.source, own);
}

/**
 * What may enter a device from the tunnel (enftun.md §7, ingress): IPv6 to its own address; IPv4 only if allowed. There are no
 * neighbours behind a tunnel, so nothing enters from a link-local, multicast, loopback, unspecified or the own address, and no
 * neighbour or router discovery; but answers to a ping of the router (fe80::1). Heartbeat replies are taken out before this is asked.
 */
export function allowsIngress(own: Uint8Array, packet: Uint8Array, allowIpv4 = false): boolean {
  const parsed = parsePacket(packet);
  if (parsed === undefined) return false;
  const { version, source, destination } = parsed;
  if (version === 4) return allowIpv4 && !isNoSource4(source) && destination[0] !== 127;
  if (!equal(destination, own) || equal(source, own)) return false;
  const end = chainEnd(parsed);
  if (end === undefined) return false;
  const type = end.header === ICMPV6 ? parsed.payload[end.at] : undefined;
  if (type !== undefined && DISCOVERY.has(type)) return false;
  if (equal(source, ROUTER_ADDRESS) && type === ECHO_REPLY) return true;
  return !NO_SOURCES.some((prefix) => matches(prefix, source));
}

/** Router and neighbour solicitations and advertisements, and redirects (RFC 4861 §4). */
const DISCOVERY: ReadonlySet<number> = new Set([133, 134, 135, 136, 137]);
const ECHO_REPLY = 129;
const NO_SOURCES = ['::/96', '::ffff:0:0/96', 'fe80::/10', 'ff00::/8'].map(parsePrefix);

/** 0.0.0.0/8, 127.0.0.0/8, 169.254.0.0/16, and 224.0.0.0/3 with the broadcast address. */
const isNoSource4 = ([a, b]: Uint8Array): boolean =>
  a === 0 || a === 127 || (a === 169 && b === 254) || a! >= 224;

const FRAGMENT = 44;
const AUTHENTICATION = 51;
/** Hop-by-hop options, routing, destination options, mobility, HIP, Shim6 (RFC 7045): next header, and length in units of 8 behind the first. */
const EXTENSIONS: ReadonlySet<number> = new Set([0, 43, 60, 135, 139, 140]);

/**
 * The header at the end of the chain of extension headers, and where in the payload it begins; undefined for a chain that leaves the
 * packet. Of a fragment that is not the first one that is the fragment header.
 */
function chainEnd({
  nextHeader,
  payload,
}: Packet): { readonly header: number; readonly at: number } | undefined {
  let header = nextHeader;
  for (let at = 0; at <= payload.length; ) {
    if (header === FRAGMENT) {
      if (payload.length - at < 8) return undefined;
      if ((readU16(payload, at + 2) & 0xfff8) !== 0) return { header, at };
    } else if (!EXTENSIONS.has(header) && header !== AUTHENTICATION) {
      return { header, at };
    } else if (payload.length - at < 2) {
      return undefined;
    }
    const units = header === FRAGMENT ? 0 : payload[at + 1]!;
    const size = header === AUTHENTICATION ? 4 * (units + 2) : 8 * (units + 1);
    header = payload[at]!;
    at += size;
  }
  return undefined;
}
