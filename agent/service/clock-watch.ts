import type { Clocks } from '../lifecycle/wall-clock.ts';

/** A jump of the time of day against the steady clock that is reported. */
export const JUMP_MS = 10_000;
const POLL_MS = 5_000;

/**
 * Calls back when the time of day jumps by more than ten seconds against the steady clock: it was set, or the machine
 * was asleep. Returns what ends it.
 */
export function watchClock(
  { wallMs, steadyMs }: Pick<Clocks, 'wallMs' | 'steadyMs'>,
  onJump: (byMs: number) => void,
): () => void {
  let offset = wallMs() - steadyMs();
  const timer = setInterval(() => {
    const now = wallMs() - steadyMs();
    const jump = now - offset;
    // Slow drift is not a jump, so the comparison is with the previous reading.
    offset = now;
    if (Math.abs(jump) > JUMP_MS) onJump(jump);
  }, POLL_MS);
  return () => clearInterval(timer);
}
