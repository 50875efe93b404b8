import { type Failure, isFailure } from '../../../protocol/failure.ts';
import { tookTooLong } from './failures.ts';
import type { Query } from './link.ts';
import { REST_MS } from './times.ts';

/** What was read and took too long, as of a table that is locked: whoever asks for it again does not wait until it was answered beside the thread. */
export interface HeldStatements {
  /** @throws Failure what came of it, or of the one before it, if nobody waits for it now */
  refuse(query: Query): void;
  /** It was waited for, and has failed. */
  failed(query: Query, error: unknown): void;
}

interface Held {
  /** What came of it last. */
  readonly failure: Failure;
  /** Until then it is not tried. */
  readonly untilMs: number;
}

/** Beyond that the oldest one is waited for again. */
const MOST = 200;

/**
 * After a statement that took too long nothing is read for a second, so that the thread does other things in between whatever else takes too long; and that one
 * not before `askBeside`, which does not have the thread wait, has answered it. One at a time is asked there, when somebody wants it.
 * `clock`: monotonic, in milliseconds.
 */
export function heldStatements(
  askBeside: (query: Query) => Promise<unknown>,
  clock: () => number = () => performance.now(),
): HeldStatements {
  /** By their SQL, the one that was held last at the end. */
  const held = new Map<string, Held>();
  /** Nothing is read as long as it is not tried. */
  let latest: Held | undefined;
  let asking = false;

  const heldFor = (failure: Failure): Held => ({ failure, untilMs: clock() + REST_MS });

  async function tryBeside(query: Query): Promise<void> {
    asking = true;
    try {
      await askBeside(query);
      held.delete(query.sql);
    } catch (error) {
      if (isFailure(error)) held.set(query.sql, heldFor(error));
      // An error of the program: whoever asks next is told.
      else held.delete(query.sql);
    }
    asking = false;
  }

  return {
    refuse(query) {
      const now = clock();
      if (latest !== undefined && now < latest.untilMs) throw latest.failure;
      latest = undefined;
      const one = held.get(query.sql);
      if (one === undefined) return;
      if (!asking && now >= one.untilMs) void tryBeside(query);
      throw one.failure;
    },
    failed({ sql }, error) {
      if (!tookTooLong(error)) return;
      latest = heldFor(error);
      held.delete(sql);
      held.set(sql, latest);
      const [oldest] = held.keys();
      if (held.size > MOST) held.delete(oldest!);
    },
  };
}
