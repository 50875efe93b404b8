import { concat, readU32, u32 } from '../bytes.ts';
import { ROOTS_KNOWN, ROOTS_NOTICE, ROOTS_TYPE, ROOTS_UPDATE, ROOTS_VERSION_LENGTH } from './wire.ts';

/*
 * How devices learn of a fabric's next roots, inside TLS, on a connection with ALPN "enf/1" or "enf/2":
 *
 *    0      1      2
 *   +------+------+---------------------+
 *   | F4   | 01   | version, u32        |      from the router, if it has a version above 1: the one that it has
 *   | F4   | 02   | version, u32        |      from the device: the one that it has
 *   | F4   | 03   | root update         |      from the router: each one behind that, in their order
 *   +------+------+---------------------+
 */

export type RootsMessage =
  | { readonly kind: 'notice' | 'known'; readonly version: number }
  | { readonly kind: 'update'; readonly update: Uint8Array };

/** The packet of a message. */
export function encodeRootsMessage(message: RootsMessage): Uint8Array {
  if (message.kind === 'update') return concat(Uint8Array.of(ROOTS_TYPE, ROOTS_UPDATE), message.update);
  return concat(
    Uint8Array.of(ROOTS_TYPE, message.kind === 'notice' ? ROOTS_NOTICE : ROOTS_KNOWN),
    u32(message.version),
  );
}

/** Reads the packet of a message; undefined if it is none, or of a kind of a later version: ignore it then. The update is not verified. */
export function parseRootsMessage(packet: Uint8Array): RootsMessage | undefined {
  if (packet[0] !== ROOTS_TYPE) return undefined;
  if (packet[1] === ROOTS_UPDATE) return { kind: 'update', update: packet.subarray(2) };
  if (packet.length !== ROOTS_VERSION_LENGTH) return undefined;
  const version = readU32(packet, 2);
  if (packet[1] === ROOTS_NOTICE) return { kind: 'notice', version };
  return packet[1] === ROOTS_KNOWN ? { kind: 'known', version } : undefined;
}
