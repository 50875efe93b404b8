import SQLite, { type Database } from 'better-sqlite3';
import { guarded, prepare } from './database.ts';

/** Group commit: what is waiting is committed together, and nobody hears of his job before it is on the disk. */
export interface CommitQueue {
  /** Runs `job` in a savepoint of the next commit. A job that throws is undone alone; the others are committed. */
  submit<T>(job: () => T): Promise<T>;
  /** Commits what is waiting now. */
  flush(): void;
}

/** More jobs per transaction gain nothing, but delay the first one's answer. */
const BATCH = 256;

interface Waiting {
  run(): () => void;
  reject(error: unknown): void;
}

/** `afterCommit` runs after each commit, before the waiting are told. */
export function commitQueue(db: Database, path: string, afterCommit: () => void): CommitQueue {
  const waiting: Waiting[] = [];
  let scheduled = false;

  function schedule(): void {
    if (scheduled || waiting.length === 0) return;
    scheduled = true;
    setImmediate(() => {
      scheduled = false;
      commit();
      schedule();
    });
  }

  function commit(): void {
    const batch = waiting.splice(0, BATCH);
    if (batch.length === 0) return;
    let answers: (() => void)[];
    try {
      answers = guarded(path, () => db.transaction(() => batch.map((each) => each.run())).immediate());
    } catch (error) {
      for (const each of batch) each.reject(error);
      return;
    }
    afterCommit();
    for (const answer of answers) answer();
  }

  return {
    submit: (job) =>
      new Promise((resolve, reject) => {
        const run = (): (() => void) => {
          try {
            const result = apart(db, job);
            return () => resolve(result);
          } catch (error) {
            // The file itself is in trouble: nothing of this batch can be trusted to be written.
            if (error instanceof SQLite.SqliteError) throw error;
            return () => reject(error);
          }
        };
        waiting.push({ run, reject });
        schedule();
      }),
    flush() {
      while (waiting.length > 0) commit();
    },
  };
}

/** Runs `job` in a savepoint; what it did is undone if it throws. */
function apart<T>(db: Database, job: () => T): T {
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
