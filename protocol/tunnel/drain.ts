import { concat, readU32, u32 } from '../bytes.ts';
import { DRAIN_LEAVE, DRAIN_LEAVE_LENGTH, DRAIN_STAY, DRAIN_STAY_LENGTH, DRAIN_TYPE } from './wire.ts';

/*
 * A router that leaves service, inside TLS, on a connection with ALPN "enf/1" or "enf/2". It tells each device that it has admitted:
 *
 *    0      1      2             6             10             14
 *   +------+------+-------------+-------------+--------------+
 *   | F8   | 01   | within, u32 | after, u32  | spread, u32  |    leave; seconds
 *   | F8   | 02   |                                               stay: it does not leave service any more
 *   +------+------+
 */

/** Seconds, 0 to MOST_DRAIN_SECONDS each. */
export interface DrainOrder {
  /** A device that has another host to go to goes within this time. */
  readonly within: number;
  /** One that has none comes back when the connection has ended, not before this time, */
  readonly after: number;
  /** and within so much longer. */
  readonly spread: number;
}

export type DrainMessage = ({ readonly kind: 'leave' } & DrainOrder) | { readonly kind: 'stay' };

/** The longest time that is understood. */
export const MOST_DRAIN_SECONDS = 3_600;

/** The packet of a message. */
export function encodeDrain(message: DrainMessage): Uint8Array {
  if (message.kind === 'stay') return Uint8Array.of(DRAIN_TYPE, DRAIN_STAY);
  const { within, after, spread } = message;
  return concat(Uint8Array.of(DRAIN_TYPE, DRAIN_LEAVE), u32(within), u32(after), u32(spread));
}

/** Reads the packet of a message. Undefined if it is about something else; `ignored` if it is of a kind of a later version, of another length, or has a longer time. */
export function parseDrain(packet: Uint8Array): DrainMessage | 'ignored' | undefined {
  if (packet[0] !== DRAIN_TYPE) return undefined;
  if (packet[1] === DRAIN_STAY && packet.length === DRAIN_STAY_LENGTH) return { kind: 'stay' };
  if (packet[1] !== DRAIN_LEAVE || packet.length !== DRAIN_LEAVE_LENGTH) return 'ignored';
  const [within, after, spread] = [2, 6, 10].map((at) => readU32(packet, at)) as [number, number, number];
  if (Math.max(within, after, spread) > MOST_DRAIN_SECONDS) return 'ignored';
  return { kind: 'leave', within, after, spread };
}
