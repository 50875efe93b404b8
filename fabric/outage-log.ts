import type { Log } from '../os/service/log.ts';
import { isFailure } from '../protocol/failure.ts';
import { counted } from '../protocol/words.ts';

/** A log that says once that the registry's database server is away, instead of whatever fails because of it. */
export interface OutageLog {
  readonly log: Log;
  /** The server has answered. */
  worked(): void;
  close(): void;
}

/** Between two lines of one outage, and of outages that follow each other. */
const LINE_EVERY_MS = 60_000;

/** What says of a failure that the server is away; whatever else a server says is written as it is. */
const isAway = (cause: unknown): cause is Error =>
  isFailure(cause, 'registry.unreachable') || isFailure(cause, 'registry.outcome-unknown');

/**
 * Lines about such a failure, by their `cause`, are counted. There is one when the server goes away, one each minute as long as more fails, and one when it
 * answers again. `clock`: monotonic, in milliseconds.
 */
export function outageLog(log: Log, clock: () => number = () => performance.now()): OutageLog {
  let away: { readonly sinceMs: number; told: boolean } | undefined;
  let left = 0;
  let saidMs = Number.NEGATIVE_INFINITY;
  let latest: Error | undefined;
  let timer: NodeJS.Timeout | undefined;

  const seconds = (sinceMs: number): string => `${Math.round((clock() - sinceMs) / 1_000)} s`;

  function say(): void {
    timer = undefined;
    if (away === undefined || latest === undefined) return;
    const lines = counted(left, 'line');
    const since = away.told ? `; away for ${seconds(away.sinceMs)}, ${lines} of what failed left out` : '';
    log('error', `${latest.message}${since}`, latest);
    away.told = true;
    saidMs = clock();
    left = 0;
  }

  function failed(cause: Error): void {
    away ??= { sinceMs: clock(), told: false };
    latest = cause;
    const waitMs = saidMs + LINE_EVERY_MS - clock();
    if (waitMs <= 0 && timer === undefined) say();
    else {
      left++;
      timer ??= setTimeout(say, Math.max(0, waitMs)).unref();
    }
  }

  const end = (): void => {
    clearTimeout(timer);
    timer = undefined;
    away = undefined;
    left = 0;
  };

  return {
    log(level, message, cause) {
      if (isAway(cause)) failed(cause);
      else log(level, message, cause);
    },
    worked() {
      if (away?.told) {
        const more = left === 0 ? '' : `; ${counted(left, 'line')} of what failed left out`;
        log('notice', `the registry answers again after ${seconds(away.sinceMs)}${more}`);
      }
      end();
    },
    close: end,
  };
}
