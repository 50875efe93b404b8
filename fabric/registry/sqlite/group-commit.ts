import SQLite from 'better-sqlite3';
import { Failure, isFailure } from '../../../protocol/failure.ts';
import type { CommitQueue } from '../sql/base/commit-queue.ts';
import { prepare } from '../sql/base/statements.ts';
import type { SQLiteConnection } from './connect.ts';
import { guarded } from './database.ts';
import { type WalFile, walFile } from './wal-file.ts';

/** More jobs per transaction gain nothing, but delay the first one's answer. */
const BATCH = 256;
/** No job is begun in a transaction that has taken so long. */
const BATCH_MS = 4;
/**
 * From the beginning of one commit to that of the next: each writes some twenty pages, however many jobs it has. Who comes after a
 * pause is committed at once.
 */
const INTERVAL_MS = 12;
/** How often a commit is tried again while another program has locked the registry, and for how long. */
const RETRY_MS = 20;
const PATIENCE_MS = 2_000;
/** Nobody wakes who waits for it. */
const SLEEPER = new Int32Array(new SharedArrayBuffer(4));

interface Waiting {
  /** Does the job; the function that it returns answers the caller. */
  run(): () => void;
  reject(error: unknown): void;
}

/** The commits of a registry in a file. */
export interface FileCommitQueue extends CommitQueue {
  /**
   * As `submit`, for a job that throws, if at all, before it has written anything: it gets no savepoint, for which SQLite would copy each page that
   * it writes. If it has written and throws, which is a mistake of ours, nothing of the commit so far is written, and its jobs are rejected.
   */
  submitAllOrNothing<T>(job: () => T): Promise<T>;
}

/** A batch that is committed, and whose flush has not ended. */
interface Committed {
  readonly batch: readonly Waiting[];
  readonly answers: readonly (() => void)[];
}

/**
 * A commit of the queue does not wait for the disk (`synchronous=NORMAL`): the log is flushed in another thread, and jobs that
 * arrive meanwhile are the next commit. That is as durable as a commit with FULL, since a flush includes all that was committed before;
 * only the event loop goes on. Nor does it wait while another program writes: the commit is tried again. `afterCommit` runs once a commit
 * is on the disk, before its jobs are answered.
 */
export function commitQueue(
  db: SQLiteConnection,
  path: string,
  afterCommit: () => void,
  wal: WalFile = walFile(path),
  everyMs = INTERVAL_MS,
): FileCommitQueue {
  const waiting: Waiting[] = [];
  let scheduled = false;
  let underway: Committed | undefined;
  // After a failed flush it is unknown which part of the log is on the disk.
  let doubtful = false;
  let lockedSince: number | undefined;
  let begun = Number.NEGATIVE_INFINITY;
  /** The last commit had not time for all that waited. */
  let hasMore = false;

  function schedule(): void {
    if (scheduled || underway !== undefined || waiting.length === 0) return;
    scheduled = true;
    const pause = hasMore ? 0 : begun + everyMs - performance.now();
    const wait = lockedSince === undefined ? pause : RETRY_MS;
    if (wait <= 0) setImmediate(begin);
    else setTimeout(begin, wait);
  }

  function begin(): void {
    scheduled = false;
    if (underway !== undefined) return;
    begun = performance.now();
    const committed = commit();
    if (committed === undefined) schedule();
    else wal.flush((failure) => settle(committed, failure));
  }

  /** Commits what waits; undefined if nothing does, it failed, or the registry is locked. */
  function commit(): Committed | undefined {
    if (waiting.length === 0) return undefined;
    const batch: Waiting[] = [];
    try {
      const answers = guarded(path, () => {
        if (doubtful) renewLog(db, path);
        doubtful = false;
        return unflushed(db, () => runBatch(waiting, batch));
      });
      lockedSince = undefined;
      waiting.splice(0, batch.length);
      hasMore = waiting.length > 0;
      underway = { batch, answers };
    } catch (error) {
      if (isTooEarly(error)) return undefined;
      // Where no job was begun, none of them can be.
      for (const each of waiting.splice(0, batch.length || waiting.length)) each.reject(error);
    }
    return underway;
  }

  /** True if the registry is locked, but not for so long that those who wait are told. */
  function isTooEarly(error: unknown): boolean {
    const now = performance.now();
    const since = isFailure(error, 'registry.locked') ? (lockedSince ?? now) : undefined;
    const tooEarly = since !== undefined && now - since < PATIENCE_MS;
    lockedSince = tooEarly ? since : undefined;
    return tooEarly;
  }

  function settle(committed: Committed, failure?: Failure): void {
    // `flush` has settled it meanwhile.
    if (underway !== committed) return;
    underway = undefined;
    if (failure === undefined) {
      afterCommit();
      for (const answer of committed.answers) answer();
    } else {
      doubtful = true;
      for (const each of committed.batch) each.reject(failure);
    }
    schedule();
  }

  function flush(): void {
    while (underway !== undefined || waiting.length > 0) {
      const committed = underway ?? commit();
      if (committed === undefined) {
        // Locked: nothing else is done here until it is over, but no core is kept busy with asking.
        if (waiting.length > 0) Atomics.wait(SLEEPER, 0, 0, RETRY_MS);
        continue;
      }
      let failure: Failure | undefined;
      try {
        wal.flushNow();
      } catch (error) {
        failure = error as Failure;
      }
      settle(committed, failure);
    }
  }

  const submit = <T>(job: () => T, undoing: Undoing): Promise<T> =>
    new Promise((resolve, reject) => {
      waiting.push({ run: () => runJob(() => undoing(db, job), resolve, reject), reject });
      schedule();
    });

  return {
    submit: (job) => submit(job, inSavepoint),
    submitAllOrNothing: (job) => submit(job, allOrNothing),
    async close() {
      flush();
      wal.close();
    },
  };
}

/** Runs the jobs that wait, as many as one transaction may have, and adds them to `batch`. Returns how to answer each of them. */
function runBatch(waiting: readonly Waiting[], batch: Waiting[]): (() => void)[] {
  const until = performance.now() + BATCH_MS;
  const answers: (() => void)[] = [];
  for (const each of waiting.slice(0, BATCH)) {
    if (batch.length > 0 && performance.now() >= until) break;
    batch.push(each);
    answers.push(each.run());
  }
  return answers;
}

/** Runs a job so that nothing it did stays if it throws. */
type Undoing = <T>(db: SQLiteConnection, job: () => T) => T;

/** A job threw what it must not: nothing of its batch is committed. */
class BrokenBatch extends Error {}

/** Runs a job. Returns how to tell its caller the result after the commit. */
function runJob<T>(job: () => T, resolve: (result: T) => void, reject: (error: unknown) => void): () => void {
  try {
    const result = job();
    return () => resolve(result);
  } catch (error) {
    // The file itself is in trouble: nothing of this batch can be trusted to be written.
    if (error instanceof SQLite.SqliteError || error instanceof BrokenBatch) throw error;
    return () => reject(error);
  }
}

/** Runs `work` in a transaction that is committed without waiting for the disk. */
function unflushed<T>(db: SQLiteConnection, work: () => T): T {
  db.exec('PRAGMA synchronous = NORMAL');
  try {
    return db.transaction(work).immediate();
  } finally {
    db.exec('PRAGMA synchronous = FULL');
  }
}

/** Copies everything from the log into the registry file and begins a new log. @throws Failure `registry.locked` */
function renewLog(db: SQLiteConnection, path: string): void {
  const { busy } = prepare(db, 'PRAGMA wal_checkpoint(TRUNCATE)').get() as { busy: number };
  if (busy === 0) return;
  throw new Failure(
    'registry.locked',
    'retry',
    `another program reads ${path} while its log must be renewed`,
    {
      action: 'Try again; if it lasts, find the program with "fuser".',
    },
  );
}

/** Runs `job` in a savepoint; what it did is undone if it throws. */
function inSavepoint<T>(db: SQLiteConnection, job: () => T): T {
  prepare(db, 'SAVEPOINT job').run();
  let done = false;
  try {
    const result = job();
    done = true;
    return result;
  } finally {
    // Some errors make SQLite roll everything back by itself; then there is no savepoint any more.
    if (db.inTransaction) {
      if (!done) prepare(db, 'ROLLBACK TO job').run();
      prepare(db, 'RELEASE job').run();
    }
  }
}

/** Runs `job`; if it throws, it has written nothing. @throws BrokenBatch if it has */
function allOrNothing<T>(db: SQLiteConnection, job: () => T): T {
  const before = rowsWritten(db);
  try {
    return job();
  } catch (error) {
    if (rowsWritten(db) === before) throw error;
    throw new BrokenBatch('a job that writes all or nothing wrote, and threw', { cause: error });
  }
}

/** By this connection since it was opened. */
const rowsWritten = (db: SQLiteConnection): number =>
  prepare(db, 'SELECT total_changes()').pluck().get() as number;
