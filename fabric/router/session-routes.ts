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
  /** Resolves once the route is there; one that fails is tried again until it is removed. */
  add(route: TunnelRoute): Promise<void>;
  /** Takes back one `add`. */
  remove(route: TunnelRoute): void;
}

/** What leads to one tunnel. */
export interface SessionRoutes {
  /** The prefix of the machines behind the device; undefined: none. */
  delegate(prefix: Prefix | undefined): void;
  /** Nothing leads here any more. */
  end(): void;
}

/** BIRD inserts its own routes with the metric 32, which has to be less than any of ours; its preference has 16 bits. */
const LEAST_METRIC = 100;
const MOST_METRIC = 65_535;

/**
 * The metric of a route, which BIRD takes for its preference and LOCAL_PREF: 100 to 65,535, and from 100 again. A device's tunnel that begins when the
 * numbers do so has a lower one than its tunnel before, and wins once that one has gone from its node.
 */
export const metricOf = (generation: number): number =>
  LEAST_METRIC + (generation % (MOST_METRIC - LEAST_METRIC + 1));

/** Resolves once everything for the address (16 bytes) comes to this node: its tunnel may begin then. */
export async function leadHere(
  sink: RouteSink,
  address: Uint8Array,
  generation: number,
): Promise<SessionRoutes> {
  const own = { address, length: 128, metric: metricOf(generation) };
  await sink.add(own).catch((error) => {
    sink.remove(own);
    throw error;
  });
  let delegated: TunnelRoute | undefined;
  let ended = false;
  const drop = (): void => {
    if (delegated !== undefined) sink.remove(delegated);
    delegated = undefined;
  };
  return {
    delegate(prefix) {
      drop();
      if (prefix === undefined || ended) return;
      delegated = { ...prefix, metric: own.metric };
      // The tunnel goes on meanwhile: the route is tried again.
      sink.add(delegated).catch(() => {});
    },
    end() {
      if (ended) return;
      ended = true;
      drop();
      sink.remove(own);
    },
  };
}
