import { newestMap } from '../../protocol/newest-map.ts';

/** Failures that cost nothing: everybody mistypes. */
const FREE = 5;
const FIRST_MS = 1_000;
const LONGEST_MS = 15 * 60_000;
/** Without a further failure for so long, all is forgotten. */
const FORGET_MS = 60 * 60_000;

/** Slows down whoever guesses: an account or a source, by its name. */
export interface Backoff {
  /** How long `who` has to wait, in milliseconds; 0: may try now. */
  waitMs(who: string): number;
  failed(who: string): void;
  succeeded(who: string): void;
}

/** `most` names are remembered; the one that failed longest ago goes first. */
export function backoff(now: () => number, most = 10_000): Backoff {
  const failures = newestMap<string, { count: number; at: number }>(most);

  function recent(who: string): { count: number; at: number } | undefined {
    const found = failures.get(who);
    if (found === undefined || now() - found.at <= FORGET_MS) return found;
    failures.delete(who);
    return undefined;
  }

  return {
    waitMs(who) {
      const found = recent(who);
      if (found === undefined || found.count < FREE) return 0;
      const pause = Math.min(LONGEST_MS, FIRST_MS * 2 ** (found.count - FREE));
      return Math.max(0, found.at + pause - now());
    },
    failed(who) {
      const count = (recent(who)?.count ?? 0) + 1;
      failures.set(who, { count, at: now() });
    },
    succeeded: (who) => void failures.delete(who),
  };
}
