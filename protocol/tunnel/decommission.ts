import {
  DECOMMISSION_FORBIDDEN,
  DECOMMISSION_REFUSED,
  DECOMMISSION_REFUSED_LENGTH,
  DECOMMISSION_REQUEST,
  DECOMMISSION_REQUEST_LENGTH,
  DECOMMISSION_TOO_MANY,
  DECOMMISSION_TYPE,
} from './wire.ts';

/*
 * How a device leaves its fabric for good, inside TLS, on a connection with ALPN "enf/1" or "enf/2". It is about the device whose key has made the
 * connection; no field names another one:
 *
 *    0      1      2
 *   +------+------+
 *   | F5   | 01   |             from the device: retire me. Once that is durable, the verdict "retired" follows
 *   | F5   | 02   | reason |    from the router: no. 1: this fabric lets no device do that; 2: too many of the group do it at the moment
 *   +------+------+--------+
 */

const REASONS = { forbidden: DECOMMISSION_FORBIDDEN, 'too-many': DECOMMISSION_TOO_MANY } as const;

export type DecommissionRefusal = keyof typeof REASONS;

export type DecommissionMessage =
  | { readonly kind: 'request' }
  | { readonly kind: 'refused'; readonly reason: DecommissionRefusal };

/** The packet of a message. */
export function encodeDecommission(message: DecommissionMessage): Uint8Array {
  return message.kind === 'request'
    ? Uint8Array.of(DECOMMISSION_TYPE, DECOMMISSION_REQUEST)
    : Uint8Array.of(DECOMMISSION_TYPE, DECOMMISSION_REFUSED, REASONS[message.reason]);
}

/** Reads the packet of a message; undefined if it is none, or of a kind or reason of a later version: ignore it then. */
export function parseDecommission(packet: Uint8Array): DecommissionMessage | undefined {
  if (packet[0] !== DECOMMISSION_TYPE) return undefined;
  if (packet[1] === DECOMMISSION_REQUEST && packet.length === DECOMMISSION_REQUEST_LENGTH)
    return { kind: 'request' };
  if (packet[1] !== DECOMMISSION_REFUSED || packet.length !== DECOMMISSION_REFUSED_LENGTH) return undefined;
  if (packet[2] === DECOMMISSION_FORBIDDEN) return { kind: 'refused', reason: 'forbidden' };
  return packet[2] === DECOMMISSION_TOO_MANY ? { kind: 'refused', reason: 'too-many' } : undefined;
}
