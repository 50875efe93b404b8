import { newestMap } from '../../protocol/newest-map.ts';

/** How often something may happen: `burst` times at once, and once more in every `periodMs`. */
export interface Rate {
  readonly burst: number;
  readonly periodMs: number;
}

/** A token bucket for each key. A bounded number of them is kept; the one that was used longest ago is forgotten, and is full then. */
export interface TokenBuckets {
  /** Takes a token: 0, or the milliseconds until there is one. */
  take(key: string): number;
  /** The milliseconds until there is a token; 0: there is one. */
  wait(key: string): number;
}

/** Buckets that are remembered: about 2 MB. */
const MOST_KEYS = 16_384;

/** `now` is in milliseconds, on a clock that never runs backwards. */
export function tokenBuckets(
  { burst, periodMs }: Rate,
  now: () => number = () => performance.now(),
  most = MOST_KEYS,
): TokenBuckets {
  /** When each bucket will be full again. */
  const fullAt = newestMap<string, number>(most);

  /** When the bucket will be full again, as far as it has to be filled; now if it is full. */
  const fillingUntil = (key: string, at: number): number => Math.max(fullAt.get(key) ?? at, at);
  const waitFor = (full: number, at: number): number => Math.max(0, full - at - (burst - 1) * periodMs);

  return {
    take(key) {
      const at = now();
      const full = fillingUntil(key, at);
      const wait = waitFor(full, at);
      fullAt.set(key, wait > 0 ? full : full + periodMs);
      return wait;
    },
    wait(key) {
      const at = now();
      const full = fillingUntil(key, at);
      const wait = waitFor(full, at);
      if (wait > 0) fullAt.set(key, full);
      return wait;
    },
  };
}
