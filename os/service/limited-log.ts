/**
 * Passes up to `burst` messages per `periodMs` to `log` and only counts the others, so that nobody can fill the log from
 * outside; the next message that passes says how many there were.
 */
export function limitedLog(
  log: (message: string) => void,
  { burst = 1, periodMs = 10_000 }: { burst?: number; periodMs?: number } = {},
): (message: string) => void {
  let since = Number.NEGATIVE_INFINITY;
  let passed = 0;
  let suppressed = 0;
  return (message) => {
    const now = performance.now();
    if (now - since >= periodMs) {
      since = now;
      passed = 0;
    }
    if (passed >= burst) {
      suppressed++;
      return;
    }
    passed++;
    log(suppressed === 0 ? message : `${message} (and ${suppressed} more before)`);
    suppressed = 0;
  };
}
