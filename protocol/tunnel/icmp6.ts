import { ascii, concat, equal, u16 } from '../bytes.ts';
import { checksum6, encodePacket6, type Packet, parsePacket } from './packet.ts';
import {
  ECHO_HEADER_LENGTH,
  ECHO_REPLY,
  ECHO_REQUEST,
  HEARTBEAT_MARK,
  ICMPV6,
  ROUTER_ADDRESS,
} from './wire.ts';

/*
 * ICMPv6 echo (RFC 4443 §4) behind the IPv6 header:
 *
 *  40  | type 128/129 | code 0 | checksum, u16    |
 *  44  | identifier, u16       | sequence, u16    |
 *  48  | payload                                  |
 *
 * The heartbeat (enftun.md §5) is an echo request without payload, 48 bytes, hop limit 255, from the device's own
 * address to fe80::1; identifier and sequence spell "ENFT" and never change.
 */

const MARK = ascii(HEARTBEAT_MARK);

/** The 48 bytes of the heartbeat of the device `own` (16 bytes): the same each time (enftun.md §5). */
export function heartbeat(own: Uint8Array): Uint8Array {
  return encodeEcho(ECHO_REQUEST, own, ROUTER_ADDRESS, MARK);
}

/**
 * True for the answer to `heartbeat(own)`, which must not reach the TUN. Unlike enftun, which looks at the
 * destination and "ENFT" only, the source must be fe80::1 and the checksum right: nobody else in the
 * network can then forge it (enftun.md §13.7).
 */
export function isHeartbeatReply(own: Uint8Array, packet: Uint8Array): boolean {
  const parsed = parseEcho(packet, ECHO_REPLY);
  return (
    parsed !== undefined &&
    equal(parsed.destination, own) &&
    equal(parsed.source, ROUTER_ADDRESS) &&
    equal(parsed.payload.subarray(4), MARK)
  );
}

/**
 * The reply to an ICMPv6 echo request with a right checksum: addresses swapped, identifier, sequence and payload
 * kept, hop limit 255 (RFC 4443 §4.2). Undefined for any other packet. Whether its destination is ours to answer for
 * is the caller's question.
 */
export function echoReply(request: Uint8Array): Uint8Array | undefined {
  const parsed = parseEcho(request, ECHO_REQUEST);
  if (parsed === undefined) return undefined;
  return encodeEcho(ECHO_REPLY, parsed.destination, parsed.source, parsed.payload.subarray(4));
}

/**
 * The ICMPv6 checksum (RFC 4443 §2.3): over the pseudo-header and the message, 16 bits. Over a message that carries
 * its right checksum the result is 0.
 */
export function icmp6Checksum(source: Uint8Array, destination: Uint8Array, message: Uint8Array): number {
  return checksum6(ICMPV6, source, destination, message);
}

function parseEcho(packet: Uint8Array, type: number): Packet | undefined {
  const parsed = parsePacket(packet);
  if (parsed?.version !== 6 || parsed.nextHeader !== ICMPV6) return undefined;
  const message = parsed.payload;
  if (message.length < ECHO_HEADER_LENGTH || message[0] !== type || message[1] !== 0) return undefined;
  return icmp6Checksum(parsed.source, parsed.destination, message) === 0 ? parsed : undefined;
}

/** `rest` is identifier, sequence and payload. */
function encodeEcho(type: number, source: Uint8Array, destination: Uint8Array, rest: Uint8Array): Uint8Array {
  const message = concat(Uint8Array.of(type, 0, 0, 0), rest);
  message.set(u16(icmp6Checksum(source, destination, message)), 2);
  return encodePacket6(ICMPV6, source, destination, message);
}
