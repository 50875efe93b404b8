import { sourceOf } from '../../os/net/peer.ts';

/** How many handshakes may be open at the same time; native/acceptor/acceptor.ts says who goes when there are more. */
export interface Limits {
  readonly total: number;
  /** Per IPv4 address or IPv6 /64. Devices behind one NAT share it. */
  readonly perSource: number;
}

/** How long a peer may take for each of its messages, from our last one to its last byte. */
export interface Deadlines {
  readonly helloMs: number;
  readonly claimMs: number;
}

export const LIMITS: Limits = { total: 16_384, perSource: 64 };
export const DEADLINES: Deadlines = { helloMs: 10_000, claimMs: 10_000 };

/** Counts open connections. */
export interface Counter {
  /** Counts a connection of the peer; undefined if it is one too many. The result uncounts it, once. */
  enter(peer: string): (() => void) | undefined;
  /** True if the peer's source has as many as it may have. */
  crowded(peer: string): boolean;
  readonly open: number;
}

export function connectionCounter(limits: Limits): Counter {
  const sources = new Map<string, number>();
  let open = 0;
  return {
    enter(peer) {
      const source = sourceOf(peer);
      const count = sources.get(source) ?? 0;
      if (open >= limits.total || count >= limits.perSource) return undefined;
      open++;
      sources.set(source, count + 1);
      let left = false;
      return () => {
        if (left) return;
        left = true;
        open--;
        const rest = sources.get(source)! - 1;
        if (rest === 0) sources.delete(source);
        else sources.set(source, rest);
      };
    },
    crowded: (peer) => (sources.get(sourceOf(peer)) ?? 0) >= limits.perSource,
    get open() {
      return open;
    },
  };
}
