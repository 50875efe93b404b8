import { toHex } from '../../../protocol/bytes.ts';

/** Tunnels by device. A newer tunnel replaces an older one: a device is connected as long as one of them is up. */
export interface TunnelCounts {
  add(address: Uint8Array): void;
  /** True if this was the last tunnel of the device. */
  remove(address: Uint8Array): boolean;
  has(address: Uint8Array): boolean;
}

export function tunnelCounts(): TunnelCounts {
  const counts = new Map<string, number>();
  return {
    add(address) {
      const name = toHex(address);
      counts.set(name, (counts.get(name) ?? 0) + 1);
    },
    remove(address) {
      const name = toHex(address);
      const left = (counts.get(name) ?? 1) - 1;
      if (left === 0) counts.delete(name);
      else counts.set(name, left);
      return left === 0;
    },
    has: (address) => counts.has(toHex(address)),
  };
}
