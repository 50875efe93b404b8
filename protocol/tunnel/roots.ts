import { concat, readU32, u32 } from '../bytes.ts';
import {
  ROOTS_KNOWN,
  ROOTS_KNOWN_LENGTH,
  ROOTS_NOTICE,
  ROOTS_NOTICE_LENGTH,
  ROOTS_TYPE,
  ROOTS_UPDATE,
} from './wire.ts';

/*
 * How devices learn of a fabric's next roots, inside TLS, on a connection with ALPN "enf/1" or "enf/2":
 *
 *    0      1      2
 *   +------+------+---------------------+
 *   | F4   | 01   | version, u32        |      from the router, if it has a version above 1: the one that it has
 *   | F4   | 02   | version, u32        | digest, 4   from the device: the one that it has, and which set that is; zeros for version 1
 *   | F4   | 03   | root update         |      from the router: each one behind that, in their order
 *   +------+------+---------------------+
 */

export type RootsMessage =
  | { readonly kind: 'notice'; readonly version: number }
  /** `digest`: 4 bytes, see `rootSetDigest`. */
  | { readonly kind: 'known'; readonly version: number; readonly digest: Uint8Array }
  | { readonly kind: 'update'; readonly update: Uint8Array };

/** Of version 1, whose roots the device has from the factory. */
export const NO_DIGEST: Uint8Array = new Uint8Array(4);

/** The packet of a message. */
export function encodeRootsMessage(message: RootsMessage): Uint8Array {
  if (message.kind === 'update') return concat(Uint8Array.of(ROOTS_TYPE, ROOTS_UPDATE), message.update);
  if (message.kind === 'notice') return concat(Uint8Array.of(ROOTS_TYPE, ROOTS_NOTICE), u32(message.version));
  return concat(Uint8Array.of(ROOTS_TYPE, ROOTS_KNOWN), u32(message.version), message.digest);
}

/** Reads the packet of a message; undefined if it is none, or of a kind of a later version: ignore it then. The update is not verified. */
export function parseRootsMessage(packet: Uint8Array): RootsMessage | undefined {
  if (packet[0] !== ROOTS_TYPE) return undefined;
  if (packet[1] === ROOTS_UPDATE) return { kind: 'update', update: packet.subarray(2) };
  if (packet[1] === ROOTS_NOTICE && packet.length === ROOTS_NOTICE_LENGTH)
    return { kind: 'notice', version: readU32(packet, 2) };
  if (packet[1] === ROOTS_KNOWN && packet.length === ROOTS_KNOWN_LENGTH)
    return { kind: 'known', version: readU32(packet, 2), digest: packet.slice(6) };
  return undefined;
}
