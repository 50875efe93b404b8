import type { Log } from '../os/service/log.ts';
import { isFailure } from '../protocol/failure.ts';
import { counted } from '../protocol/words.ts';

/** A log that says once that the registry's database server is away, or that something takes too long there, instead of whatever fails because of it. */
export interface OutageLog {
  readonly log: Log;
  /** The server has answered. */
  worked(): void;
  /** Says what was left out so far. */
  close(): void;
}

/** Between two lines of one outage, and of outages that follow each other. */
const LINE_EVERY_MS = 60_000;
/** Something takes too long until nothing has for so long. */
const QUIET_MS = 30_000;

/** How a kind of outage is told; `time` is how long it lasted. */
interface Words {
  is(cause: Error): string;
  lasts(time: string): string;
  ended(time: string): string;
  /** Those that are over, of which there was no line. */
  readonly again: string;
}

const AWAY: Words = {
  is: ({ message }) => message,
  lasts: (time) => `away for ${time}`,
  ended: (time) => `the registry answers again after ${time}`,
  again: 'the registry was away again',
};
/** As of a table that is locked, while others are read and written. */
const SLOW: Words = {
  is: ({ message }) => `something in the registry takes too long: ${message}`,
  lasts: (time) => `for ${time}`,
  ended: () => `nothing in the registry has taken too long for ${seconds(QUIET_MS)}`,
  again: 'something in the registry took too long again',
};

const seconds = (ms: number): string => `${Math.round(ms / 1_000)} s`;

const isAway = (cause: unknown): cause is Error => isFailure(cause, 'registry.unreachable');
const isSlow = (cause: unknown): cause is Error => isFailure(cause, 'registry.locked');

/**
 * Lines about such a failure, by their `cause`, are counted. There is one when the server goes away, one each minute as long as more fails, and one when it
 * answers again; of an outage that ends within a minute of the line before it there is one line, when that minute is over. So it is, apart from that, when
 * something takes too long: the server answers meanwhile, so that ends by itself. Whatever else a server says is written as it is, and so is that nobody knows
 * whether something was done. `clock`: monotonic, in milliseconds.
 */
export function outageLog(log: Log, clock: () => number = () => performance.now()): OutageLog {
  const away = outages(log, clock, AWAY);
  const slow = outages(log, clock, SLOW);
  let quiet: NodeJS.Timeout | undefined;

  const outage: Log = (level, message, cause) => {
    if (isAway(cause)) away.failed(cause);
    else if (isSlow(cause)) {
      slow.failed(cause);
      clearTimeout(quiet);
      quiet = setTimeout(slow.ended, QUIET_MS).unref();
    } else log(level, message, cause);
  };

  return {
    log: Object.assign(outage, { counts: (cause: unknown) => isAway(cause) || isSlow(cause) }),
    worked: away.ended,
    close() {
      clearTimeout(quiet);
      away.close();
      slow.close();
    },
  };
}

/** Outages of one kind, one after the other. */
function outages(log: Log, clock: () => number, words: Words) {
  let current: { readonly sinceMs: number; told: boolean } | undefined;
  /** How long the outages lasted that are over and of which there was no line. */
  let untoldMs = 0;
  let left = 0;
  let saidMs = Number.NEGATIVE_INFINITY;
  let latest: Error;
  let timer: NodeJS.Timeout | undefined;

  const leftOut = (): string => `${counted(left, 'line')} of what failed left out`;

  function said(): void {
    clearTimeout(timer);
    timer = undefined;
    left = 0;
    untoldMs = 0;
  }

  function say(): void {
    if (current === undefined) log('notice', `${words.again}, for ${seconds(untoldMs)} in all; ${leftOut()}`);
    else {
      const { told, sinceMs } = current;
      const since = told || left > 0 ? `; ${words.lasts(seconds(clock() - sinceMs))}, ${leftOut()}` : '';
      log('error', `${words.is(latest)}${since}`, latest);
      current.told = true;
    }
    saidMs = clock();
    said();
  }

  return {
    failed(cause: Error): void {
      current ??= { sinceMs: clock(), told: false };
      latest = cause;
      const waitMs = saidMs + LINE_EVERY_MS - clock();
      if (waitMs <= 0 && timer === undefined) say();
      else {
        left++;
        timer ??= setTimeout(say, Math.max(0, waitMs)).unref();
      }
    },
    ended(): void {
      if (current === undefined) return;
      const ms = clock() - current.sinceMs;
      if (current.told) {
        log('notice', `${words.ended(seconds(ms))}${left === 0 ? '' : `; ${leftOut()}`}`);
        said();
      } else untoldMs += ms;
      current = undefined;
    },
    close(): void {
      if (left > 0) say();
      current = undefined;
    },
  };
}
