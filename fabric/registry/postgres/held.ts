import { createHash } from 'node:crypto';
import { type Failure, isFailure } from '../../../protocol/failure.ts';
import { notAskedAgain, tookTooLong, waitedForLock } from './failures.ts';
import { CAUTIOUS_MS, HELD_MS, REST_MS } from './times.ts';

interface Query {
  readonly sql: string;
  readonly values?: readonly (string | null)[];
}

/** Statements that took too long, as of a table that is locked: whoever asks for one of them again does not wait for it. */
interface HeldStatements {
  /** @throws Failure if nobody waits for it now */
  refuse(query: Query): void;
  /** It was waited for, and has failed. */
  failed(query: Query, error: unknown): void;
}

/** Those of jobs, which change something. */
interface HeldJobs extends HeldStatements {
  /** Something took too long in the last seconds: nothing else should. */
  isCautious(): boolean;
}

interface Held {
  /** What came of it last. */
  failure: Failure;
  /** Until then it is not tried. */
  untilMs: number;
  /** When it is forgotten, unless somebody wants it before. */
  endMs: number;
}

/** Beyond that the oldest one is waited for again. */
const MOST = 200;

/** A statement with these values, of any size. */
const question = ({ sql, values }: Query): string =>
  `${sql} ${createHash('sha256')
    .update(JSON.stringify(values ?? []))
    .digest('base64')}`;

/**
 * Those that read. After one of them nothing is read for a second, so that the thread does other things in between whatever else takes too long. The one that
 * is held is not read before `askBeside`, for which nobody waits, has answered it, or nobody has wanted it for some seconds: one at a time is asked there, when
 * somebody wants it. A statement that has waited for a lock is held whatever its values, as a table is locked for all. Another one is held with its values
 * alone, as a search through a few devices is quick where one through a million is not; whatever its values, too, if anything else is held: so on a disk that
 * hangs not everybody's question is waited for.
 * `clock`: monotonic, in milliseconds.
 */
export function heldStatements(
  askBeside: (query: Query) => Promise<unknown>,
  clock: () => number = () => performance.now(),
): HeldStatements {
  /** By their SQL, or the question; the one that was held last at the end. */
  const held = new Map<string, Held>();
  /** Nothing is read as long as it is not tried. */
  let latest: Held | undefined;
  let asking = false;

  /** The one that is held under this name; undefined: none, or nobody wanted it any more. */
  function wanted(name: string): Held | undefined {
    const one = held.get(name);
    if (one === undefined || clock() < one.endMs) return one;
    held.delete(name);
    return undefined;
  }

  function answered(query: Query): void {
    held.delete(question(query));
    held.delete(query.sql);
  }

  async function tryBeside(query: Query, one: Held): Promise<void> {
    asking = true;
    try {
      await askBeside(query);
      answered(query);
    } catch (error) {
      if (isFailure(error)) Object.assign(one, { failure: error, untilMs: clock() + REST_MS });
      // An error of the program: whoever asks next is told.
      else answered(query);
    }
    asking = false;
  }

  return {
    refuse(query) {
      const now = clock();
      if (latest !== undefined && now < latest.untilMs) throw latest.failure;
      latest = undefined;
      if (held.size === 0) return;
      const one = wanted(question(query)) ?? wanted(query.sql);
      if (one === undefined) return;
      one.endMs = now + HELD_MS;
      if (!asking && now >= one.untilMs) void tryBeside(query, one);
      throw one.failure;
    },
    failed(query, error) {
      if (!tookTooLong(error)) return;
      const now = clock();
      const holding = (): Held => ({ failure: error, untilMs: now + REST_MS, endMs: now + HELD_MS });
      const isLocked = waitedForLock(error);
      const isOneOfSeveral = [...held.values()].some(({ endMs }) => now < endMs);
      latest = holding();
      if (!isLocked) putLast(held, question(query), holding());
      if (isLocked || isOneOfSeveral) putLast(held, query.sql, holding());
    },
  };
}

/** Those of jobs: of all of them one is tried again each second, by the job that comes with it; the others fail, and only they, as nothing was asked. */
export function heldJobs(clock: () => number = () => performance.now()): HeldJobs {
  const held = new Map<string, Failure>();
  let latestMs = Number.NEGATIVE_INFINITY;
  let triedMs = latestMs;
  const isCautious = (): boolean => clock() < latestMs + CAUTIOUS_MS;
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
      triedMs = clock();
      // What had a second only may be done in more, and has that once the caution ends. Who waits for a lock that lasts does so in vain.
      if (waitedForLock(error) || !isCautious()) latestMs = triedMs;
      putLast(held, sql, error);
    },
    isCautious,
  };
}

function putLast<T>(held: Map<string, T>, name: string, one: T): void {
  held.delete(name);
  held.set(name, one);
  const [oldest] = held.keys();
  if (held.size > MOST) held.delete(oldest!);
}
