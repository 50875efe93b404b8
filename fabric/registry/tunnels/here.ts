import { toHex } from '../../../protocol/bytes.ts';

/** A tunnel that ends here. */
export interface TunnelHere {
  readonly address: Uint8Array;
  /** When it began, in milliseconds since 1970. */
  readonly at: number;
  /** The outer address and port. */
  readonly from: string;
  /** Which tunnel of the device it is, if a node has attached it. */
  readonly generation?: number;
}

/** The tunnels that end here, the newest one of each device. A newer one replaces an older one: a device is connected as long as one of them is up. */
export interface TunnelsHere {
  add(tunnel: TunnelHere): void;
  /** True if this was the last tunnel of the device. */
  remove(address: Uint8Array): boolean;
  has(address: Uint8Array): boolean;
  /** Whether it is the newest one of its device still. */
  isNewest(tunnel: TunnelHere): boolean;
  all(): readonly TunnelHere[];
}

export function tunnelsHere(): TunnelsHere {
  const devices = new Map<string, { newest: TunnelHere; tunnels: number }>();
  return {
    add(tunnel) {
      const name = toHex(tunnel.address);
      devices.set(name, { newest: tunnel, tunnels: (devices.get(name)?.tunnels ?? 0) + 1 });
    },
    remove(address) {
      const name = toHex(address);
      const device = devices.get(name);
      if (device !== undefined && --device.tunnels > 0) return false;
      devices.delete(name);
      return true;
    },
    has: (address) => devices.has(toHex(address)),
    isNewest: (tunnel) => devices.get(toHex(tunnel.address))?.newest === tunnel,
    all: () => [...devices.values()].map(({ newest }) => newest),
  };
}
