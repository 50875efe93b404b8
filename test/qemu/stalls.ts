/** Milliseconds; the agent tells systemd twice in `WatchdogSec=60` that it lives. */
const STALL_MS = 29_000;
const LOOK_MS = 1_000;

let count = 0;
let lastMs = performance.now();
const look = (): void => {
  const nowMs = performance.now();
  if (nowMs - lastMs > STALL_MS) count++;
  lastMs = nowMs;
};
setInterval(look, LOOK_MS).unref();

/**
 * How often this machine has stood still for long: it was suspended, or this process and its guests were stopped. The clock of a
 * guest goes on meanwhile, so that its watchdog expires, and timeouts in this process elapse.
 */
export const stalls = (): number => {
  look();
  return count;
};

/** Does something again until the machine has not stood still meanwhile. */
export async function retryAfterStall<T>(work: () => Promise<T>): Promise<T> {
  for (;;) {
    const before = stalls();
    const done: () => T = await work().then(
      (value) => () => value,
      (error: unknown) => () => {
        throw error;
      },
    );
    if (stalls() === before) return done();
  }
}
