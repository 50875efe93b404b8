import type { Prefix } from '../../protocol/ipv6.ts';

/** A route to a prefix of this node's tunnels; of several nodes that have one to the same prefix the highest metric wins (docs/scale.md). */
export interface TunnelRoute {
  /** 16 bytes. */
  readonly address: Uint8Array;
  readonly length: number;
  readonly metric: number;
}

/** Tells other nodes which devices have their tunnels here. */
export interface RouteSink {
  /** Resolves once the route is there. */
  add(route: TunnelRoute): Promise<void>;
  /** Takes back one `add`. */
  remove(route: TunnelRoute): void;
}

/** What other nodes are told of one tunnel. */
export interface Attachment {
  /** Grows with each tunnel of its device, on whichever node it begins. */
  readonly generation: number;
  /** The prefix of the machines behind the device; undefined: none. */
  delegate(prefix: Prefix | undefined): void;
  /** The tunnel has ended: nothing leads here any more. */
  end(): void;
}

export interface Attachments {
  /** Resolves once everything for the address (16 bytes) comes to this node; undefined: the peer has gone meanwhile. */
  attach(peer: number, address: Uint8Array): Promise<Attachment | undefined>;
  /** The connection of a peer has ended. */
  gone(peer: number): void;
}

/** BIRD inserts its own routes with the metric 32, which has to be less than any of ours; its preference has 16 bits. */
const LEAST_METRIC = 100;
const MOST_METRIC = 65_535;

/**
 * The metric of a route, which BIRD takes for its preference and LOCAL_PREF: 100 to 65,535, and from 100 again. A device's tunnel that begins when the
 * numbers do so has a lower one than its tunnel before, and wins once that has gone from the node that it was on.
 */
export const metricOf = (generation: number): number =>
  LEAST_METRIC + (generation % (MOST_METRIC - LEAST_METRIC + 1));

/** `attach` counts the tunnels of a device, and refuses one that is not to have any. */
export function attachments(
  attach: (address: Uint8Array) => Promise<number>,
  routes: RouteSink,
  onFailure: (error: unknown) => void,
): Attachments {
  const waiting = new Set<number>();

  function attachment(generation: number, own: TunnelRoute): Attachment {
    const { metric } = own;
    let delegated: TunnelRoute | undefined;
    let ended = false;
    const drop = (): void => {
      if (delegated !== undefined) routes.remove(delegated);
      delegated = undefined;
    };
    return {
      generation,
      delegate(prefix) {
        drop();
        if (prefix === undefined || ended) return;
        delegated = { ...prefix, metric };
        routes.add(delegated).catch(onFailure);
      },
      end() {
        if (ended) return;
        ended = true;
        drop();
        routes.remove(own);
      },
    };
  }

  return {
    async attach(peer, address) {
      waiting.add(peer);
      try {
        const generation = await attach(address);
        const own = { address, length: 128, metric: metricOf(generation) };
        await routes.add(own);
        const found = attachment(generation, own);
        if (waiting.has(peer)) return found;
        found.end();
        return undefined;
      } finally {
        waiting.delete(peer);
      }
    },
    gone: (peer) => void waiting.delete(peer),
  };
}
