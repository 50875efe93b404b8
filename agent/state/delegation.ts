import { fromHex, toHex } from '../../protocol/bytes.ts';
import { formatPrefix, isInUnicast, type Prefix, parsePrefix } from '../../protocol/ipv6.ts';
import type { DeviceRecord } from './state.ts';

/*
 * The prefix that the fabric has delegated to the device, as it was told last: the LAN behind it keeps its addresses while there is no tunnel. It belongs to
 * an address, so that another identity does not inherit it.
 */

/** What is kept for the device with this address (RFC 5952 text). */
export function keptPrefix({ delegation: saved }: DeviceRecord, own: string): Prefix | undefined {
  if (typeof saved !== 'object' || saved === null) return undefined;
  const { address, prefix: text } = saved as { readonly address?: unknown; readonly prefix?: unknown };
  if (address !== own || typeof text !== 'string') return undefined;
  try {
    const prefix = parsePrefix(text);
    return prefix.length === 64 && isInUnicast(prefix) ? prefix : undefined;
  } catch {
    return undefined;
  }
}

/** The record with this; without a prefix nothing is kept. */
export function withPrefix(record: DeviceRecord, own: string, prefix: Prefix | undefined): DeviceRecord {
  const { delegation: _, ...rest } = record;
  return prefix === undefined
    ? rest
    : { ...rest, delegation: { address: own, prefix: formatPrefix(prefix) } };
}

const KEY_BYTES = 32;

/** The key from which the addresses on the LAN follow that are given by DHCPv6; undefined: there is none yet. */
export function keptLanKey({ lanKey: saved }: DeviceRecord): Uint8Array | undefined {
  return typeof saved === 'string' && saved.length === 2 * KEY_BYTES && /^[0-9a-f]*$/.test(saved)
    ? fromHex(saved)
    : undefined;
}

/** The record with this key. */
export const withLanKey = (record: DeviceRecord, key: Uint8Array): DeviceRecord => ({
  ...record,
  lanKey: toHex(key),
});
