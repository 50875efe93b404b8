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
