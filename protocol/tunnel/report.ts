import { concat, readU32, u32 } from '../bytes.ts';
import { REPORT_REQUEST_SELF, REPORT_REQUEST_TYPE, REPORT_TYPE } from './wire.ts';

/*
 * A device's report about itself, inside TLS and so authenticated by its key: no field names the device. The router asks for it once,
 * when it has admitted the device, and only on a connection with ALPN "enf/1" or "enf/2"; a device that was not asked sends none. Both
 * are control messages, as the verdict is:
 *
 *    0      1
 *   +------+------+
 *   | F2   | 01   |      from the router: asks for a report
 *   +------+------+
 *
 *    0      1
 *   +------+------+---------+------+------+-----------------------+
 *   | F3   | n    | version | m    | code | seconds, u32 big-endian |
 *   +------+------+---------+------+------+-----------------------+
 */

/** What a device reports about itself. */
export interface Report {
  /** Its program's version: 1 to 24 of `A-Z a-z 0-9 . + ~ -`. */
  readonly version: string;
  /** What went wrong last since the program started: a failure's code (docs/errors.md) and its age in seconds, a u32. */
  readonly failure?: { readonly code: string; readonly seconds: number };
}

const VERSION = /^[A-Za-z0-9.+~-]{1,24}$/;
const CODE = /^(?=.{1,40}$)[a-z0-9]+([.-][a-z0-9]+)*$/;

/** The packet by which a router asks for a report. */
export const REPORT_REQUEST: Uint8Array = Uint8Array.of(REPORT_REQUEST_TYPE, REPORT_REQUEST_SELF);

/** The packet of a report, at most 71 bytes; undefined if a field does not fit. */
export function encodeReport({ version, failure }: Report): Uint8Array | undefined {
  if (!VERSION.test(version) || (failure !== undefined && !CODE.test(failure.code))) return undefined;
  const { code, seconds } = failure ?? { code: '', seconds: 0 };
  const age = u32(Math.min(0xffff_ffff, Math.max(0, Math.floor(seconds))));
  return concat(Uint8Array.of(REPORT_TYPE), counted(version), counted(code), age);
}

/** Parses the packet of a report, which may be malformed; undefined unless every byte is as it should be. */
export function parseReport(packet: Uint8Array): Report | undefined {
  if (packet[0] !== REPORT_TYPE) return undefined;
  const version = textAt(packet, 1);
  const code = textAt(packet, 2 + version.length);
  const end = 3 + version.length + code.length;
  if (packet.length !== end + 4 || !VERSION.test(version)) return undefined;
  const seconds = readU32(packet, end);
  if (code === '') return seconds === 0 ? { version } : undefined;
  return CODE.test(code) ? { version, failure: { code, seconds } } : undefined;
}

const counted = (text: string): Uint8Array =>
  Uint8Array.of(text.length, ...Array.from(text, (each) => each.charCodeAt(0)));

/** The text behind its length, byte for byte; less of it if the packet ends before. */
function textAt(packet: Uint8Array, at: number): string {
  return String.fromCharCode(...packet.subarray(at + 1, at + 1 + (packet[at] ?? 0)));
}
