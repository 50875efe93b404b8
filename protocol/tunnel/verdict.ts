import { readU32, u32 } from '../bytes.ts';
import { encodeFrame } from './frame.ts';
import {
  CONTROL_NIBBLE,
  VERDICT_BANNED,
  VERDICT_EVICTED,
  VERDICT_LENGTH,
  VERDICT_RETIRED,
  VERDICT_RETRY_AFTER,
  VERDICT_SUSPENDED,
  VERDICT_TYPE,
  VERDICT_UNKNOWN,
  VERDICT_UNREGISTERED,
} from './wire.ts';

/*
 * The router's verdict on a peer, inside TLS and so authenticated by the router's certificate. Only peers that
 * offered ALPN "enf/1" or "enf/2" get it; enftun offers none. It travels as a frame whose packet begins with the nibble 0xF,
 * which no IP version is:
 *
 *    0      1      2
 *   +------+------+------+------+------+------+
 *   | F1   | kind | seconds, u32 big-endian   |      1 evicted, 3 unknown, 5 unregistered, 7 retired: seconds 0
 *   +------+------+------+------+------+------+      2 banned, 4 retry-after, 6 suspended
 *
 * The orderly close follows. A device may provision anew only on such a verdict, never on a network or TLS error.
 */

const KINDS = {
  evicted: VERDICT_EVICTED,
  banned: VERDICT_BANNED,
  unknown: VERDICT_UNKNOWN,
  'retry-after': VERDICT_RETRY_AFTER,
  unregistered: VERDICT_UNREGISTERED,
  suspended: VERDICT_SUSPENDED,
  retired: VERDICT_RETIRED,
} as const;

/**
 * - `evicted`: the identity is withdrawn; provision anew.
 * - `banned`: the device is excluded until an operator readmits it; ask again after so many seconds (u32; 0: a day).
 * - `suspended`: its group is; ask again after so many seconds.
 * - `unknown`: another key is registered for this address (a stale key), or the address is in none of the fabric's networks.
 * - `retry-after`: not now; come back after so many seconds (u32).
 * - `unregistered`: the registry, which was restored from a backup, knows nothing of this address, or no newer key than that of the
 *   backup; the device may prove that the address is its own.
 * - `retired`: the device is shut out for good, as somebody wanted it at the fabric, or it itself.
 */
export type Verdict =
  | { readonly kind: 'evicted' | 'unknown' | 'unregistered' | 'retired' }
  | { readonly kind: 'banned' | 'suspended' | 'retry-after'; readonly seconds: number };

/** The whole frame, 8 bytes. */
export function encodeVerdict(verdict: Verdict): Uint8Array {
  const packet = new Uint8Array(VERDICT_LENGTH);
  packet[0] = VERDICT_TYPE;
  packet[1] = KINDS[verdict.kind];
  if ('seconds' in verdict) packet.set(u32(verdict.seconds), 2);
  return encodeFrame(packet);
}

/** Reads the packet of a verdict frame; undefined if it is none, or of a kind of a later version: ignore it then. */
export function parseVerdict(packet: Uint8Array): Verdict | undefined {
  if (packet.length !== VERDICT_LENGTH || packet[0] !== VERDICT_TYPE) return undefined;
  return verdictOf(packet[1]!, readU32(packet, 2));
}

/** The verdict that kind and seconds of a frame make; undefined if they make none. */
export function verdictOf(kind: number, seconds: number): Verdict | undefined {
  if (kind === KINDS['retry-after']) return { kind: 'retry-after', seconds };
  if (kind === KINDS.suspended) return { kind: 'suspended', seconds };
  if (kind === KINDS.banned) return { kind: 'banned', seconds };
  if (seconds !== 0) return undefined;
  if (kind === KINDS.evicted) return { kind: 'evicted' };
  if (kind === KINDS.unknown) return { kind: 'unknown' };
  if (kind === KINDS.unregistered) return { kind: 'unregistered' };
  if (kind === KINDS.retired) return { kind: 'retired' };
  return undefined;
}

/** True if the packet of a frame is a control message (first nibble 0xF) and not IP. */
export function isControl(packet: Uint8Array): boolean {
  return packet.length > 0 && packet[0]! >> 4 === CONTROL_NIBBLE;
}
