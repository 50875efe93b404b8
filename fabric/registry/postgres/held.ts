import { type Failure, isFailure } from '../../../protocol/failure.ts';
import { notAskedAgain, tookTooLong } from './failures.ts';
import { CAUTIOUS_MS, REST_MS } from './times.ts';

interface Query {
  readonly sql: string;
  readonly values?: readonly (string | null)[];
}

/** Statements that took too long, as of a table that is locked: whoever asks for one of them again does not wait for it. */
export interface HeldStatements {
  /** @throws Failure if nobody waits for it now */
  refuse(query: Query): void;
  /** It was waited for, and has failed. */
  failed(query: Query, error: unknown): void;
}

/** Those of jobs, which change something. */
export interface HeldJobs extends HeldStatements {
  /** Something took too long in the last seconds: nothing else should. */
  isCautious(): boolean;
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
 * Those that read. After one of them nothing is read for a second, so that the thread does other things in between whatever else takes too long. The same
 * statement is not read before `askBeside`, for which nobody waits, has answered it: one at a time is asked there, when somebody wants it.
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
      putLast(held, sql, latest);
    },
  };
}

/** Those of jobs: of all of them one is tried again each second, by the job that comes with it; the others fail, and only they, as nothing was asked. */
export function heldJobs(clock: () => number = () => performance.now()): HeldJobs {
  const held = new Map<string, Failure>();
  let latestMs = Number.NEGATIVE_INFINITY;
  let triedMs = latestMs;
  return {
    refuse({ sql }) {
      const failure = held.get(sql);
      if (failure === undefined) return;
      if (clock() < triedMs + REST_MS) throw notAskedAgain(failure);
      triedMs = clock();
      held.delete(sql);
    },
    failed({ sql }, error) {
      if (!tookTooLong(error)) return;
      latestMs = triedMs = clock();
      putLast(held, sql, error);
    },
    isCautious: () => clock() < latestMs + CAUTIOUS_MS,
  };
}

function putLast<T>(held: Map<string, T>, sql: string, one: T): void {
  held.delete(sql);
  held.set(sql, one);
  const [oldest] = held.keys();
  if (held.size > MOST) held.delete(oldest!);
}
