import { concat } from '../bytes.ts';
import { isInUnicast, type Prefix } from '../ipv6.ts';
import {
  PREFIX_DELEGATED,
  PREFIX_DELEGATED_LENGTH,
  PREFIX_NONE,
  PREFIX_NONE_LENGTH,
  PREFIX_TYPE,
} from './wire.ts';

/*
 * Which /64 a device has for the machines behind it, inside TLS, on a connection with ALPN "enf/1" or "enf/2". The router sends it when it has admitted the
 * device, and whenever that changes:
 *
 *    0      1      2                          10
 *   +------+------+
 *   | F6   | 01   |                                  none
 *   | F6   | 02   | the prefix's first 8 bytes |     this one, in place of any other
 *   +------+------+----------------------------+
 */

/** What a router says; `prefix` undefined: the device has none. */
export interface PrefixMessage {
  /** A /64 of global or unique local unicast. */
  readonly prefix: Prefix | undefined;
}

/** The packet of a message. */
export function encodePrefixMessage({ prefix }: PrefixMessage): Uint8Array {
  if (prefix === undefined) return Uint8Array.of(PREFIX_TYPE, PREFIX_NONE);
  return concat(Uint8Array.of(PREFIX_TYPE, PREFIX_DELEGATED), prefix.address.subarray(0, 8));
}

/** Reads the packet of a message; undefined if it is none, of a kind of a later version, or the prefix is none for machines: ignore it then. */
export function parsePrefixMessage(packet: Uint8Array): PrefixMessage | undefined {
  if (packet[0] !== PREFIX_TYPE) return undefined;
  if (packet[1] === PREFIX_NONE && packet.length === PREFIX_NONE_LENGTH) return { prefix: undefined };
  if (packet[1] !== PREFIX_DELEGATED || packet.length !== PREFIX_DELEGATED_LENGTH) return undefined;
  const prefix: Prefix = { address: concat(packet.subarray(2), new Uint8Array(8)), length: 64 };
  return isInUnicast(prefix) ? { prefix } : undefined;
}
