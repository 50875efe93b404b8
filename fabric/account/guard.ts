import { sourceOf } from '../../os/net/peer.ts';
import { Failure } from '../../protocol/failure.ts';
import { newestMap } from '../../protocol/newest-map.ts';
import { backoff } from '../access/backoff.ts';

/** Attempts of one source that may be under way. */
const AT_ONCE = 2;
/** Accounts with the sources from which somebody got in. */
const MOST_KNOWN = 1_000;
const NOTED_MS = 60_000;
/** Failures noted within that time: each stays in the audit trail for ever. */
const MOST_NOTED = 10;

/** Slows down who guesses, and nobody else. */
export interface Guard {
  /**
   * Runs one attempt from `address` to enter `account`; it is wrong if it resolves to undefined. Where the account was entered before, only wrong
   * attempts from there count: a stranger who guesses locks nobody out.
   * @throws Failure `access.too-many-attempts`, `access.busy`, and those of the attempt
   */
  attempt<T>(account: string, address: string, run: () => Promise<T | undefined>): Promise<T | undefined>;
  /** Should a failure from this address be noted? At most one a minute is of a source, and ten of all. */
  isNotable(address: string): boolean;
}

export function guard(now: () => number): Guard {
  const guesses = backoff(now);
  const underway = new Map<string, number>();
  const known = newestMap<string, true>(MOST_KNOWN);
  const noted = new Map<string, number>();

  /** Counts the attempts of a source while they run. */
  async function counted<T>(source: string, run: () => Promise<T>): Promise<T> {
    const before = underway.get(source) ?? 0;
    if (before >= AT_ONCE) throw busy();
    underway.set(source, before + 1);
    try {
      return await run();
    } finally {
      const left = underway.get(source)! - 1;
      if (left === 0) underway.delete(source);
      else underway.set(source, left);
    }
  }

  return {
    async attempt(account, address, run) {
      const source = sourceOf(address);
      const pair = `${source} as ${account}`;
      const limits = known.get(pair) ? [pair] : [`account ${account}`, `source ${source}`];
      if (limits.some((each) => guesses.waitMs(each) > 0)) throw tooManyAttempts();
      const result = await counted(source, run);
      for (const each of limits) {
        if (result === undefined) guesses.failed(each);
        else guesses.succeeded(each);
      }
      if (result !== undefined) known.set(pair, true);
      return result;
    },
    isNotable(address) {
      const source = sourceOf(address);
      for (const [each, at] of noted) {
        if (now() - at < NOTED_MS) break;
        noted.delete(each);
      }
      if (noted.has(source) || noted.size >= MOST_NOTED) return false;
      noted.set(source, now());
      return true;
    },
  };
}

function busy(): Failure {
  return new Failure('access.busy', 'retry', 'two attempts from this address are being checked', {
    action: 'Try again in a few seconds.',
  });
}

function tooManyAttempts(): Failure {
  return new Failure('access.too-many-attempts', 'retry', 'too many wrong attempts to sign in', {
    action: 'Wait some minutes; a passkey works at once.',
  });
}
