import { type Rate, tokenBuckets } from '../../../os/service/token-buckets.ts';

/**
 * Writes of which only the newest one of each key counts: at once while the key has tokens, else as soon as it has one again, and only the
 * newest by then. So nobody causes more writes by changing faster.
 */
export interface NewestWrites<Written> {
  put(key: string, written: Written): void;
  /** Writes what waits. */
  flush(): void;
}

/** Keys that may wait; beyond that the one that has waited longest is written. */
const MOST_WAITING = 4_096;

/** `joined` is what a newer write makes of an older one that it meets waiting. */
export function newestWrites<Written>(
  write: (written: Written) => void,
  joined: (older: Written, newer: Written) => Written,
  rate: Rate,
): NewestWrites<Written> {
  const tokens = tokenBuckets(rate);
  const waiting = new Map<string, Written>();
  let timer: NodeJS.Timeout | undefined;

  function writeNow(key: string, written: Written): void {
    waiting.delete(key);
    write(written);
  }

  function writeDue(): void {
    timer = undefined;
    for (const [key, written] of waiting) if (tokens.take(key) === 0) writeNow(key, written);
    if (waiting.size > 0) timer = setTimeout(writeDue, rate.periodMs).unref();
  }

  return {
    put(key, written) {
      const older = waiting.get(key);
      if (older === undefined && tokens.take(key) === 0) {
        write(written);
        return;
      }
      waiting.set(key, older === undefined ? written : joined(older, written));
      timer ??= setTimeout(writeDue, rate.periodMs).unref();
      if (waiting.size > MOST_WAITING) writeNow(...waiting.entries().next().value!);
    },
    flush() {
      clearTimeout(timer);
      timer = undefined;
      for (const [key, written] of waiting) writeNow(key, written);
    },
  };
}
