import { originOf } from './config/origin.ts';
import { CONSOLE } from './operations/news.ts';

/** A console asks again sooner, unless it has ended. */
const CONSOLE_GONE_MS = 20_000;

/** Where browsers find the console that asks for news, as long as it does. */
export interface ConsoleAddress {
  readonly url: string | null;
  heard(query: URLSearchParams): void;
}

export function consoleAddress(now: () => number = Date.now): ConsoleAddress {
  let [url, until] = ['', 0];
  return {
    get url() {
      return now() < until ? url : null;
    },
    heard(query) {
      const origin = originOf(query.get(CONSOLE) ?? '');
      if (origin !== undefined) [url, until] = [origin, now() + CONSOLE_GONE_MS];
    },
  };
}
