import { concat, readU16, u16, u32 } from '../bytes.ts';
import { HOP_LIMIT } from './wire.ts';

/*
 * IPv6 (RFC 8200 §3)                                  IPv4 (RFC 791 §3.1)
 *
 *   0  | 6 | class | flow label            |            0  | 4 | IHL | TOS  | total length, u16     |
 *   4  | payload length, u16 | next | hops |            4  | id             | flags, fragment       |
 *   8  | source, 16                        |            8  | TTL | protocol | header checksum       |
 *  24  | destination, 16                   |           12  | source, 4                              |
 *  40  | payload                           |           16  | destination, 4 ; options ; payload     |
 */

/** Length of the fixed IPv6 header. */
export const IPV6_HEADER_LENGTH = 40;

/** The fields that a filter or a router needs. Addresses are views of it: 16 bytes for IPv6, 4 for IPv4. */
export interface Packet {
  readonly version: 4 | 6;
  readonly source: Uint8Array;
  readonly destination: Uint8Array;
  /** The first next header of IPv6, the protocol of IPv4. */
  readonly nextHeader: number;
  /** Everything behind the (IPv6) or whole (IPv4) header. */
  readonly payload: Uint8Array;
}

/**
 * Reads an IP packet whose own length field is exactly its size (enftun.md §7); undefined for anything else.
 * Extension headers, checksums and fragments are not looked at.
 */
export function parsePacket(packet: Uint8Array): Packet | undefined {
  const version = packet.length === 0 ? 0 : packet[0]! >> 4;
  if (version === 6) return parseVersion6(packet);
  if (version === 4) return parseVersion4(packet);
  return undefined;
}

function parseVersion6(packet: Uint8Array): Packet | undefined {
  if (packet.length < IPV6_HEADER_LENGTH) return undefined;
  if (readU16(packet, 4) !== packet.length - IPV6_HEADER_LENGTH) return undefined;
  return {
    version: 6,
    source: packet.subarray(8, 24),
    destination: packet.subarray(24, 40),
    nextHeader: packet[6]!,
    payload: packet.subarray(IPV6_HEADER_LENGTH),
  };
}

function parseVersion4(packet: Uint8Array): Packet | undefined {
  const headerLength = 4 * (packet[0]! & 0x0f);
  if (headerLength < 20 || packet.length < headerLength) return undefined;
  if (readU16(packet, 2) !== packet.length) return undefined;
  return {
    version: 4,
    source: packet.subarray(12, 16),
    destination: packet.subarray(16, 20),
    nextHeader: packet[9]!,
    payload: packet.subarray(headerLength),
  };
}

/** An IPv6 packet with hop limit 255 around a payload; addresses of 16 bytes. */
export function encodePacket6(
  nextHeader: number,
  source: Uint8Array,
  destination: Uint8Array,
  payload: Uint8Array,
): Uint8Array {
  if (source.length !== 16 || destination.length !== 16) throw new Error('an IPv6 address has 16 bytes');
  const rest = Uint8Array.of(nextHeader, HOP_LIMIT);
  return concat(u32(0x60000000), u16(payload.length), rest, source, destination, payload);
}

/**
 * The checksum of a message of ICMPv6 or UDP (RFC 8200 §8.1): over the pseudo-header and the message, 16 bits. Over a message that
 * carries its right checksum the result is 0.
 */
export function checksum6(
  nextHeader: number,
  source: Uint8Array,
  destination: Uint8Array,
  message: Uint8Array,
): number {
  const pseudo = concat(source, destination, u32(message.length), u32(nextHeader));
  const covered = concat(pseudo, message, new Uint8Array(message.length & 1));
  let sum = 0;
  for (let offset = 0; offset < covered.length; offset += 2) sum += readU16(covered, offset);
  while (sum > 0xffff) sum = (sum & 0xffff) + Math.floor(sum / 0x10000);
  return ~sum & 0xffff;
}
