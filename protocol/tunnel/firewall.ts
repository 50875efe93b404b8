import { equal } from '../bytes.ts';
import { parsePacket } from './packet.ts';

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
 * What may enter a device from the tunnel (enftun.md §7, ingress): IPv6 to its own address; IPv4 only if allowed.
 * Heartbeat replies are taken out before this is asked.
 */
export function allowsIngress(own: Uint8Array, packet: Uint8Array, allowIpv4 = false): boolean {
  const parsed = parsePacket(packet);
  if (parsed === undefined) return false;
  return parsed.version === 4 ? allowIpv4 : equal(parsed.destination, own);
}
