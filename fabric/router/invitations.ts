import { sourceOf } from '../../os/net/peer.ts';
import { newestMap } from '../../protocol/newest-map.ts';
import type { Verdict } from '../../protocol/tunnel/verdict.ts';

/**
 * How often a source is told that an address is not registered. Whoever may try addresses without a limit could find out which ones are
 * devices'; beyond it the answer is the same for both.
 */
export interface Invitations {
  /** The verdict for a peer at this outer address: `unknown` instead of an `unregistered` beyond the limit. */
  limit(verdict: Verdict, host: string): Verdict;
}

/** Told to a source at once, and how long until one more: hundreds of devices may share one address. */
const BURST = 50;
const ONE_MORE_MS = 1_000;
/** About 1 MB; beyond that the source that was told longest ago is forgotten. */
const MOST_SOURCES = 4_096;

/** Counts per IPv4 address or IPv6 /64; `now` in milliseconds. */
export function invitations(now: () => number = () => performance.now()): Invitations {
  const sources = newestMap<string, { left: number; at: number }>(MOST_SOURCES);

  function take(source: string): boolean {
    const at = now();
    const known = sources.get(source) ?? { left: BURST, at };
    const left = Math.min(BURST, known.left + (at - known.at) / ONE_MORE_MS);
    sources.set(source, { left: left < 1 ? left : left - 1, at });
    return left >= 1;
  }

  return {
    limit: (verdict, host) =>
      verdict.kind === 'unregistered' && !take(sourceOf(host)) ? { kind: 'unknown' } : verdict,
  };
}
