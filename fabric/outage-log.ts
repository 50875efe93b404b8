import type { Log } from '../os/service/log.ts';
import { isFailure } from '../protocol/failure.ts';
import { counted } from '../protocol/words.ts';

/** A log that says once that the registry's database server is away, or that something is locked there, instead of whatever fails because of it. */
export interface OutageLog {
  readonly log: Log;
  /** The server has answered. */
  worked(): void;
  /** Says what was left out so far. */
  close(): void;
}

/** Between two lines of one outage, and of outages that follow each other. */
const LINE_EVERY_MS = 60_000;

/** What says of a failure that the server is away or busy; whatever else a server says is written as it is, and so is that nobody knows whether something was done. */
const isAway = (cause: unknown): cause is Error =>
  isFailure(cause, 'registry.unreachable') || isFailure(cause, 'registry.locked');

/**
 * Lines about such a failure, by their `cause`, are counted. There is one when the server goes away, one each minute as long as more fails, and one when it
 * answers again. Of an outage that ends within a minute of the line before it there is one line, when that minute is over. `clock`: monotonic, in milliseconds.
 */
export function outageLog(log: Log, clock: () => number = () => performance.now()): OutageLog {
  let away: { readonly sinceMs: number; told: boolean } | undefined;
  /** How long the outages lasted that are over and of which there was no line. */
  let untoldMs = 0;
  let left = 0;
  let saidMs = Number.NEGATIVE_INFINITY;
  let latest: Error | undefined;
  let timer: NodeJS.Timeout | undefined;

  const seconds = (ms: number): string => `${Math.round(ms / 1_000)} s`;
  const leftOut = (): string => `${counted(left, 'line')} of what failed left out`;

  function said(): void {
    clearTimeout(timer);
    timer = undefined;
    left = 0;
    untoldMs = 0;
  }

  function say(): void {
    if (away === undefined) {
      log('notice', `the registry was away again, for ${seconds(untoldMs)} in all; ${leftOut()}`);
    } else {
      const since =
        away.told || left > 0 ? `; away for ${seconds(clock() - away.sinceMs)}, ${leftOut()}` : '';
      log('error', `${latest?.message}${since}`, latest);
      away.told = true;
    }
    saidMs = clock();
    said();
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

  const outage: Log = (level, message, cause) => {
    if (isAway(cause)) failed(cause);
    else log(level, message, cause);
  };

  return {
    log: Object.assign(outage, { counts: isAway }),
    worked() {
      if (away === undefined) return;
      const ms = clock() - away.sinceMs;
      if (away.told) {
        log('notice', `the registry answers again after ${seconds(ms)}${left === 0 ? '' : `; ${leftOut()}`}`);
        said();
      } else untoldMs += ms;
      away = undefined;
    },
    close() {
      if (left > 0) say();
      away = undefined;
    },
  };
}
