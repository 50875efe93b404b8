import { askControl } from '../../../os/net/control-socket.ts';
import { isFailure } from '../../../protocol/failure.ts';
import { DUTIES, type Duty } from '../../registry/nodes.ts';
import type { Learned } from '../../registry/records.ts';

/** The path at which a fabric tells how it serves. */
export const SERVING_PATH = '/serving';

/** How a fabric serves, as its control socket tells. */
export interface Serving {
  /** Absent in a fabric of a version that serves all. */
  readonly serves?: readonly Duty[];
  /** Where devices provision, and where tunnels end: address and port; null: not here. */
  readonly identity: string | null;
  readonly tunnel: string | null;
  /** How this host takes part; null: it does not. */
  readonly host: HostServing | null;
  /** How many devices with a tunnel know of the newest roots; absent in a fabric of a version without. */
  readonly learned?: Learned;
}

/** What a fabric serves, and where, for a person. */
export function servedText({
  serves = DUTIES,
  identity,
  tunnel,
}: Pick<Serving, 'serves' | 'identity' | 'tunnel'>): string {
  return [
    ...(identity === null ? [] : [`identity ${identity}`]),
    ...(tunnel === null ? [] : [`tunnel ${tunnel}`]),
    ...(serves.length < DUTIES.length && serves.includes('console') ? ['console'] : []),
  ].join(', ');
}

export interface HostServing {
  /** Its TUN device. */
  readonly tun: string;
  /** What devices may use of it, as `--host-services` takes it. */
  readonly services: string;
  /** Whether the kernel has the nftables table that closes the rest, or why that is not known. */
  readonly filter: 'in force' | 'not in force' | { readonly unknown: string };
  /** The routes of its tunnels for other nodes; absent: they are not written. */
  readonly routes?: RoutesServing;
}

export interface RoutesServing {
  /** The kernel's table, and the protocol number of the routes in it. */
  readonly table: number;
  readonly protocol: number;
  /** How many there should be. */
  readonly routes: number;
  /** Why the kernel does not have them as they should be; null: it does. */
  readonly failing: string | null;
  /** Where BIRD is asked whether other nodes learn of them, and why it does not say that they do; absent: it is not asked. */
  readonly bird?: { readonly socket: string; readonly failing: string | null };
}

/**
 * What the fabric that listens on `socket` tells; undefined if none does, null if it has not started yet.
 * @throws Failure `control.…`
 */
export async function askServing(socket: string): Promise<Serving | null | undefined> {
  try {
    return (await askControl(socket, { method: 'GET', path: SERVING_PATH })) as Serving | null;
  } catch (error) {
    if (isFailure(error, 'control.nobody')) return undefined;
    throw error;
  }
}
