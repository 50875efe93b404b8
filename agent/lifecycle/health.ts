import type { Situation } from './situation.ts';

/** A pause that ended this long ago without anything following has been forgotten. */
export const LATE_MS = 60_000;

/**
 * How long anything that is under way may take, in milliseconds: a TPM that tests itself takes a minute or two, and a
 * connection a few times `connectTimeoutMs`. Far more than that, and it hangs.
 */
export const longestStepMs = (connectTimeoutMs: number): number => 600_000 + 4 * connectTimeoutMs;

/**
 * False once the lifecycle has stopped advancing: a pause that is over is not followed by anything, or what is under
 * way neither succeeds nor fails. Offline, refused or without a TPM is none of that. `nowMs` is the lifecycle's clock.
 */
export function advances(situation: Situation, nowMs: number, patienceMs: number): boolean {
  switch (situation.kind) {
    case 'stopped':
    case 'online': // the tunnel's heartbeat ends this one
      return true;
    case 'backing-off':
    case 'blocked':
      return nowMs <= situation.untilMs + LATE_MS;
    default:
      return nowMs <= situation.sinceMs + patienceMs;
  }
}
