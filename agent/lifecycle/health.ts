import type { Situation } from './situation.ts';

/** If a pause ended this long ago and no attempt followed, the lifecycle is stuck. */
export const LATE_MS = 60_000;

/**
 * How long anything that is under way may take, in milliseconds: a TPM that tests itself takes a minute or two, and a
 * connection a few times `connectTimeoutMs`. Far more than that, and it hangs.
 */
export const longestStepMs = (connectTimeoutMs: number): number => 600_000 + 4 * connectTimeoutMs;

/**
 * False once the lifecycle has stopped advancing: a pause is over and no attempt follows, or an attempt neither succeeds nor
 * fails. Being offline, refused or without a TPM does not count. `nowMs` is the lifecycle's clock.
 */
export function advances(situation: Situation, nowMs: number, patienceMs: number): boolean {
  switch (situation.kind) {
    case 'stopped':
    case 'decommissioned':
      return true;
    case 'online': // the tunnel's heartbeat ends this one
      return situation.renewingSinceMs === undefined || nowMs <= situation.renewingSinceMs + patienceMs;
    case 'backing-off':
    case 'blocked':
      return nowMs <= situation.untilMs + LATE_MS;
    default:
      return nowMs <= situation.sinceMs + patienceMs;
  }
}
