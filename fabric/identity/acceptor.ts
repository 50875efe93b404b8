import {
  type Door,
  type DoorOptions,
  hasNativeDoor,
  nativeDoor,
  openListener,
} from '../../os/net/acceptor.ts';
import { type ListenAddress, listen, listenFailure } from '../../os/net/listen.ts';
import { portableDoor } from './portable-acceptor.ts';

const WHAT = 'the identity server';

/** Where to listen: on an address, or on the listening socket that the parent process opened. */
export type Entrance = ListenAddress | { readonly descriptor: number };

/**
 * Opens the door of the identity server: the addon's if it was built (and `portable` is not set), else one on node:net.
 * @throws Failure `net.port-busy`, `net.port-not-permitted`, `net.no-such-address`
 */
export async function openDoor(
  entrance: Entrance,
  options: DoorOptions,
  portable = !hasNativeDoor(),
): Promise<{ readonly door: Door; readonly port: number }> {
  if ('descriptor' in entrance) return { door: nativeDoor(entrance.descriptor, options), port: 0 };
  if (portable) {
    const { server, door } = portableDoor(options);
    return { door, port: await listen(server, entrance, WHAT) };
  }
  const { descriptor, port } = openEntrance(entrance);
  return { door: nativeDoor(descriptor, options), port };
}

/**
 * Binds the listening socket that several processes will share.
 * @throws Failure `net.port-busy`, `net.port-not-permitted`, `net.no-such-address`
 */
export function openEntrance(address: ListenAddress): { descriptor: number; port: number } {
  try {
    return openListener(address.host, address.port);
  } catch (error) {
    throw listenFailure(address, WHAT, error);
  }
}
