/** Bounds of a retry schedule, in milliseconds. */
export interface Backoff {
  readonly firstMs: number;
  readonly capMs: number;
}

/**
 * The pause before attempt `attempt` (0 = first retry): full jitter, uniform in 0 … min(cap, first · 2^attempt).
 * `random` is uniform in [0, 1) and comes from the caller, so that a test can pin it.
 */
export function pause(backoff: Backoff, attempt: number, random: number): number {
  const ceiling = Math.min(backoff.capMs, backoff.firstMs * 2 ** Math.min(attempt, 30));
  return Math.floor(random * ceiling);
}
