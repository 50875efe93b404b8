import { concat, readU32, u32 } from '../bytes.ts';
import { PACE_LENGTH, PACE_LONGEST, PACE_TYPE } from './wire.ts';

/*
 * How long a device waits at most before it tries again, inside TLS, on a connection with ALPN "enf/1" or "enf/2". The router sends it when it has
 * admitted the device, and whenever that changes:
 *
 *    0      1      2                    6
 *   +------+------+--------------------+
 *   | F7   | 01   | seconds, u32       |
 *   +------+------+--------------------+
 */

/** What a router may ask for, in seconds. More is what a device that was told nothing waits; less, and a fabric could make its devices flood others. */
export const LEAST_PACE = 30;
export const MOST_PACE = 300;

/** Whole seconds from LEAST_PACE to MOST_PACE. */
export const isPace = (seconds: unknown): seconds is number =>
  Number.isInteger(seconds) && (seconds as number) >= LEAST_PACE && (seconds as number) <= MOST_PACE;

/** The packet of a message. */
export const encodePace = (seconds: number): Uint8Array =>
  concat(Uint8Array.of(PACE_TYPE, PACE_LONGEST), u32(seconds));

/**
 * Reads the packet of a message: its seconds. Undefined if it is about something else; `ignored` if it is of a kind of a later version, of another length, or out of bounds.
 */
export function parsePace(packet: Uint8Array): number | 'ignored' | undefined {
  if (packet[0] !== PACE_TYPE) return undefined;
  if (packet[1] !== PACE_LONGEST || packet.length !== PACE_LENGTH) return 'ignored';
  const seconds = readU32(packet, 2);
  return isPace(seconds) ? seconds : 'ignored';
}
