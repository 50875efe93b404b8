/**
 * Passes up to `burst` messages per `quietMs`, then only counts, so that nobody can fill the log from outside; the next
 * one that passes tells how many there were.
 */
export function quietly(
  say: (message: string) => void,
  { burst = 1, quietMs = 10_000 }: { burst?: number; quietMs?: number } = {},
): (message: string) => void {
  let since = Number.NEGATIVE_INFINITY;
  let said = 0;
  let suppressed = 0;
  return (message) => {
    const now = performance.now();
    if (now - since >= quietMs) {
      since = now;
      said = 0;
    }
    if (said >= burst) {
      suppressed++;
      return;
    }
    said++;
    say(suppressed === 0 ? message : `${message} (and ${suppressed} more before)`);
    suppressed = 0;
  };
}
