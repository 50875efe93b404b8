import { Failure } from '../../protocol/failure.ts';

/** The time of day, a clock that only runs forward, and what the time of day cannot be before. All in milliseconds. */
export interface Clocks {
  /** Since 1970; may be wrong. */
  readonly wallMs: () => number;
  /** From any origin; does not advance while the machine sleeps. */
  readonly steadyMs: () => number;
  /** When this program was built, since 1970; 0 if unknown. */
  readonly builtMs: number;
}

/** How long TLS waits for the clock to be set. After that a device connects whose only time server is behind the tunnel. */
export const PATIENCE_MS = 300_000;

/**
 * The same if only the last good time speaks against the clock: that may have been kept while the clock was in the future. A time server
 * needs no longer once there is a network, and its jump of the clock is noticed.
 */
export const DOUBT_MS = 5_000;

/** Checks whether the time of day is plausible enough to check a certificate's dates with. */
export interface ClockCheck {
  /**
   * Returns at a plausible time, or once it has been waited for long enough. `lastGoodMs` is the last time of day at which
   * the tunnel was up. @throws Failure `clock.implausible`
   */
  check(lastGoodMs: number | undefined): void;
}

export function clockCheck({ wallMs, steadyMs, builtMs }: Clocks): ClockCheck {
  let sinceMs: number | undefined;
  return {
    check(lastGoodMs) {
      const earliest = earliestTime(builtMs, lastGoodMs);
      const now = wallMs();
      if (now >= earliest.ms) {
        sinceMs = undefined;
        return;
      }
      sinceMs ??= steadyMs();
      const doubtful = now >= builtMs;
      if (steadyMs() - sinceMs >= (doubtful ? DOUBT_MS : PATIENCE_MS)) return;
      throw new Failure(
        'clock.implausible',
        'retry',
        `the clock of this device says ${iso(now)}, which is before ${earliest.what} (${iso(earliest.ms)}): ${doubtful ? 'it is wrong now, or was wrong then' : 'certificates cannot be checked with it'}`,
        {
          action: `Set the clock if it is wrong, or have a time server set it; the agent then connects at once. After ${doubtful ? 'a few seconds' : 'five minutes'} it connects anyway.`,
        },
      );
    },
  };
}

/** The latest of what the time of day cannot be before, and what that was. */
export function earliestTime(
  builtMs: number,
  lastGoodMs = 0,
): { readonly ms: number; readonly what: string } {
  return lastGoodMs > builtMs
    ? { ms: lastGoodMs, what: 'the last time the tunnel was up' }
    : { ms: builtMs, what: 'this program was built' };
}

const iso = (ms: number): string => new Date(ms).toISOString().replace(/\.\d+Z$/, 'Z');
