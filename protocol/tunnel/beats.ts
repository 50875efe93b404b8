import { concat, u32 } from '../bytes.ts';
import { BEATS_AT_MOST, BEATS_TYPE } from './wire.ts';

/*
 * When a device that hears nothing sends a heartbeat, and how long it waits for the answer, inside TLS, on a connection with ALPN "enf/1" or "enf/2". The router
 * sends it when it has admitted the device; the device's thread reads it (native/client/control.c):
 *
 *    0      1      2                    6                    10
 *   +------+------+--------------------+--------------------+
 *   | F9   | 01   | period, u32        | time-out, u32      |    milliseconds
 *   +------+------+--------------------+--------------------+
 */

/** In milliseconds: BEATS_LEAST_PERIOD and BEATS_LEAST_TIMEOUT at least, or devices ignore both. They shorten what a device has, and prolong nothing. */
export interface Beats {
  readonly periodMs: number;
  readonly timeoutMs: number;
}

/** The packet of the message. */
export const encodeBeats = ({ periodMs, timeoutMs }: Beats): Uint8Array =>
  concat(Uint8Array.of(BEATS_TYPE, BEATS_AT_MOST), u32(periodMs), u32(timeoutMs));
