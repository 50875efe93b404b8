import { concat, readU32, u32 } from '../bytes.ts';
import { REPORT_REQUEST_SELF, REPORT_REQUEST_TYPE, REPORT_TYPE } from './wire.ts';

/*
 * What a device tells the fabric of itself, inside TLS and so authenticated by its key: that it is about the device that sends it
 * goes without saying. The router asks once, when it has let the device in, and only on a connection with ALPN "enf/1" or
 * "enf/2"; a device that was not asked says nothing. Both are control messages as the verdict is one:
 *
 *    0      1
 *   +------+------+
 *   | F2   | 01   |      from the router: tell me of yourself
 *   +------+------+
 *
 *    0      1
 *   +------+------+---------+------+------+-----------------------+
 *   | F3   | n    | version | m    | code | seconds, u32 big-endian |
 *   +------+------+---------+------+------+-----------------------+
 */

/** A device's word on itself. */
export interface Report {
  /** Of its program: 1 to 24 of `A-Z a-z 0-9 . + ~ -`. */
  readonly version: string;
  /** What went wrong last since the program started: a failure's code (docs/errors.md) and its age in seconds, a u32. */
  readonly failure?: { readonly code: string; readonly seconds: number };
}

const VERSION = /^[A-Za-z0-9.+~-]{1,24}$/;
const CODE = /^(?=.{1,40}$)[a-z0-9]+([.-][a-z0-9]+)*$/;

/** The packet by which a router asks for a report. */
export const REPORT_REQUEST: Uint8Array = Uint8Array.of(REPORT_REQUEST_TYPE, REPORT_REQUEST_SELF);

/** The packet of a report, at most 71 bytes; undefined if it could not be said in one. */
export function encodeReport({ version, failure }: Report): Uint8Array | undefined {
  if (!VERSION.test(version) || (failure !== undefined && !CODE.test(failure.code))) return undefined;
  const { code, seconds } = failure ?? { code: '', seconds: 0 };
  const age = u32(Math.min(0xffff_ffff, Math.max(0, Math.floor(seconds))));
  return concat(Uint8Array.of(REPORT_TYPE), counted(version), counted(code), age);
}

/** Reads the packet of a report that anybody may have written; undefined unless it is one, to the byte. */
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
