import { sourceOf } from '../../os/net/peer.ts';

/** Which sources lately sent handshakes that no honest device sends. */
export interface Suspects {
  /** A handshake from there was refused for what it was. */
  blame(source: string): void;
  /** One from there was good: devices behind the same address as a hostile one are not shut out for long. */
  trust(source: string): void;
  isSuspect(source: string): boolean;
}

/** So many refusals more than good handshakes make a suspect: a broken device is not one at its first attempt. */
const STRIKES = 3;
const FORGET_MS = 60_000;
/** About 10 MB. More sources than this are a network's worth of them; the oldest are forgotten. */
const REMEMBERED = 65_536;

/** Keeps accounts of sources (an IPv4 address, an IPv6 /64) for a minute after their last strike. */
export function suspectList(now: () => number): Suspects {
  const accounts = new Map<string, { strikes: number; at: number }>();

  function account(source: string): { strikes: number; at: number } | undefined {
    const known = accounts.get(source);
    if (known === undefined || now() - known.at < FORGET_MS) return known;
    accounts.delete(source);
    return undefined;
  }

  return {
    blame(peer) {
      const source = sourceOf(peer);
      const strikes = Math.min((account(source)?.strikes ?? 0) + 1, 4 * STRIKES);
      accounts.delete(source);
      accounts.set(source, { strikes, at: now() });
      if (accounts.size > REMEMBERED) accounts.delete(accounts.keys().next().value!);
    },
    trust(peer) {
      const source = sourceOf(peer);
      const known = account(source);
      if (known !== undefined && --known.strikes === 0) accounts.delete(source);
    },
    isSuspect: (peer) => accounts.size > 0 && (account(sourceOf(peer))?.strikes ?? 0) >= STRIKES,
  };
}
