import { configureInterface, routeThrough } from '../os/iproute.ts';
import { formatPrefix, type Prefix } from '../protocol/ipv6.ts';

/** What goes through the tunnel: the configured prefixes, else the /64 of the own address. */
export function tunnelRoutes(own: Uint8Array, configured: readonly Prefix[]): readonly Prefix[] {
  if (configured.length > 0) return configured;
  return [{ address: own.map((byte, i) => (i < 8 ? byte : 0)), length: 64 }];
}

/**
 * Gives the interface its MTU, address (/128, at once usable) and routes. They disappear with the interface when it
 * is closed. @throws Failure `os.ip-failed`, `os.not-permitted`, `os.no-iproute`
 */
export async function raiseInterface(
  device: string,
  mtu: number,
  own: Uint8Array,
  routes: readonly Prefix[],
): Promise<void> {
  await configureInterface(device, mtu, [formatPrefix({ address: own, length: 128 })]);
  for (const route of routes) await routeThrough(formatPrefix(route), device);
}
