import { sourceOf } from '../../os/net/peer.ts';

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
/** About 10 MB. More sources than this are those of a whole network; the oldest are forgotten. */
const MOST_SOURCES = 65_536;

/** Counts strikes per source (an IPv4 address, an IPv6 /64) until a minute after the last one. */
export function sourceReputation(now: () => number): Reputation {
  const sources = new Map<string, { strikes: number; at: number }>();

  function current(source: string): { strikes: number; at: number } | undefined {
    const known = sources.get(source);
    if (known === undefined || now() - known.at < FORGET_MS) return known;
    sources.delete(source);
    return undefined;
  }

  return {
    penalise(peer) {
      const source = sourceOf(peer);
      const strikes = Math.min((current(source)?.strikes ?? 0) + 1, 4 * STRIKES);
      sources.delete(source);
      sources.set(source, { strikes, at: now() });
      if (sources.size > MOST_SOURCES) sources.delete(sources.keys().next().value!);
    },
    forgive(peer) {
      const source = sourceOf(peer);
      const known = current(source);
      if (known !== undefined && --known.strikes === 0) sources.delete(source);
    },
    isSuspect: (peer) => sources.size > 0 && (current(sourceOf(peer))?.strikes ?? 0) >= STRIKES,
  };
}
