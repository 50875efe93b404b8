import { prefixesOf } from '../../os/net/peer.ts';
import { newestMap } from '../../protocol/newest-map.ts';

/** Which sources lately sent handshakes that no honest device sends. */
export interface Reputation {
  /** A handshake of this source was refused as hostile. */
  penalise(source: string): void;
  /** A handshake of this source was good: devices behind the same address as a hostile one are soon served as before. */
  forgive(source: string): void;
  isSuspect(source: string): boolean;
}

/** With so many hostile handshakes more than good ones a source is suspect: a broken device is not at its first attempt. */
const STRIKES = 3;
const FORGET_MS = 60_000;
/** About 10 MB. More than this are those of a whole network; the oldest are forgotten. */
const MOST_PREFIXES = 65_536;

/** So many times as often as a source may a prefix be hostile in which many are: an IPv4 /24; an IPv6 /56, /48, /40, each of the one before. */
const WIDER = { v4: 16, v6: 4 };

/** Counts strikes per source (an IPv4 address, an IPv6 /64) and per prefix of sources until a minute after the last one. */
export function sourceReputation(now: () => number): Reputation {
  const prefixes = newestMap<string, { strikes: number; at: number }>(MOST_PREFIXES);

  function current(prefix: string): { strikes: number; at: number } | undefined {
    const known = prefixes.get(prefix);
    if (known === undefined || now() - known.at < FORGET_MS) return known;
    prefixes.delete(prefix);
    return undefined;
  }

  return {
    penalise(peer) {
      for (const { prefix, most } of bounds(peer)) {
        const before = current(prefix)?.strikes ?? 0;
        const strikes = Math.min(before + 1, 4 * most);
        prefixes.set(prefix, { strikes, at: now() });
        // One source alone does not make a wide prefix suspect.
        if (strikes === before) return;
      }
    },
    forgive(peer) {
      for (const prefix of prefixesOf(peer)) {
        const known = current(prefix);
        if (known !== undefined && --known.strikes === 0) prefixes.delete(prefix);
      }
    },
    isSuspect: (peer) =>
      prefixes.size > 0 && bounds(peer).some(({ prefix, most }) => (current(prefix)?.strikes ?? 0) >= most),
  };
}

/** The prefixes of a peer, its source first, each with the strikes that make it suspect. */
function bounds(peer: string): { prefix: string; most: number }[] {
  const names = prefixesOf(peer).reverse();
  const factor = names.length > 2 ? WIDER.v6 : WIDER.v4;
  return names.map((prefix, i) => ({ prefix, most: STRIKES * factor ** i }));
}
