import { fromHex, toHex } from '../../../protocol/bytes.ts';
import { isFailure } from '../../../protocol/failure.ts';
import type { AuditHead } from '../records.ts';
import type { CommitQueue } from '../sql/base/commit-queue.ts';
import type { ServerDatabase } from './connection.ts';
import { outcomeUnknown, StatementError, tookTooLong } from './failures.ts';
import type { Answer, Link, Query } from './link.ts';
import { CAUTIOUS_LOCK_MS, CAUTIOUS_STATEMENT_MS } from './times.ts';

/** More jobs per transaction gain nothing, but keep other nodes from writing. */
const BATCH = 256;
/** No job is begun in a transaction that has taken so long. */
const BATCH_MS = 20;

/** One node writes at a time: so everything happens in one order, the audit trail's chain and the numbers of changes with it. */
const begin = (
  more: string,
): string => `BEGIN; SELECT pg_advisory_xact_lock(hashtextextended(current_schema(), 0)); ${more}
  SELECT value FROM counter WHERE name = 'audit'`;
/** Once it has its turn. */
const CAUTIOUSLY = `SET LOCAL lock_timeout = ${CAUTIOUS_LOCK_MS}; SET LOCAL statement_timeout = ${CAUTIOUS_STATEMENT_MS};`;
/** For how long it is looked whether what was committed when the connection was lost was done, and how often. */
const DOUBT_MS = 10_000;
const DOUBT_PAUSE_MS = 200;

/** There always is one: the registry's beginning. */
const HEAD = 'SELECT seq, hash FROM audit ORDER BY seq DESC LIMIT 1';

interface Waiting {
  /** Does the job; the function that it returns answers the caller. */
  run(transaction: number): () => void;
  reject(error: unknown): void;
  /** It may be done together with others of the same kind that wait behind it. */
  readonly together?: {
    readonly kind: Together<unknown, unknown>;
    readonly item: unknown;
    answer(value: unknown): void;
  };
}

/** A batch whose commit was not answered. */
interface Doubtful {
  /** The newest audit entry, which the batch has appended. */
  readonly head: AuditHead;
  readonly answers: readonly (() => void)[];
  readonly batch: readonly Waiting[];
  readonly error: unknown;
  readonly until: number;
}

/** Jobs of one kind that one statement does, where that can be. */
export interface Together<Item, Result> {
  /** The statement for these; undefined: it can do none of them. It changes nothing for those that it does not answer. If it throws, each is done alone. */
  together(items: readonly Item[]): TogetherStatement<Result> | undefined;
  /** Does what the statement leaves. */
  alone(item: Item): Result;
}

export interface TogetherStatement<Result> {
  readonly query: Pick<Query, 'sql' | 'statement' | 'values'>;
  /** What answers each of them, undefined for those that are left. */
  results(answer: Answer): readonly (Result | undefined)[];
}

/** The same jobs, which are not done together with others any more. */
const alone = (jobs: readonly Waiting[]): Waiting[] => jobs.map(({ run, reject }) => ({ run, reject }));

export interface ServerQueue extends CommitQueue {
  /** As `submit`, together with others of this kind. */
  submitTogether<Item, Result>(kind: Together<Item, Result>, item: Item): Promise<Result>;
}

/**
 * The commit queue of a registry on a server. It waits neither for its turn to write, nor for what is done together, nor for the server's disk: only
 * the statements of single jobs are waited for. `afterCommit` runs once a commit is on the disk, before its jobs are answered, with the newest audit entry. If the connection
 * is lost before the commit is answered, the trail says whether it was done, on whichever server takes changes then.
 */
export function serverQueue(
  db: ServerDatabase,
  link: Link,
  afterCommit: (newest: AuditHead) => void,
): ServerQueue {
  const waiting: Waiting[] = [];
  /** Those that were tried once, when something took too long. */
  const late = new WeakSet<Waiting>();
  let doubtful: Doubtful[] = [];
  let underway = false;
  let transactions = 0;
  /** The job that is run alone. */
  let current: Waiting | undefined;

  function schedule(): void {
    if (underway || (waiting.length === 0 && doubtful.length === 0)) return;
    underway = true;
    setImmediate(async () => {
      await turn();
      giveUpDoubts();
      underway = false;
      if (doubtful.length > 0 && waiting.length === 0) setTimeout(schedule, DOUBT_PAUSE_MS);
      else schedule();
      endIfDone();
    });
  }

  async function turn(): Promise<void> {
    const number = ++transactions;
    let before: number;
    let resolve: () => void;
    try {
      const sql = begin(link.isCautious() ? CAUTIOUSLY : '');
      before = Number((await link.send('write', { sql, begins: number })).rows[0]![0]);
      resolve = await lookForDoubtful(number);
    } catch (error) {
      await undo(number);
      const jobs = waiting.splice(0);
      // Others have written for as long.
      if (tookTooLong(error)) for (const each of keepOnce(jobs, error)) waiting.push(each);
      else rejectAll(jobs, error);
      return;
    }
    const batch: Waiting[] = [];
    let answers: (() => void)[] = [];
    let ran = false;
    let newest: AuditHead | undefined;
    try {
      answers = await runBatch(number, batch);
      ran = true;
      newest = await headIn(number);
      await link.send('write', { sql: 'COMMIT', transaction: number });
    } catch (error) {
      await undo(number);
      if (error instanceof StatementError) return doWithout(error, batch);
      if (newest === undefined && tookTooLong(error)) {
        // Whose statement that was is known, unless it was of several, or none of theirs.
        const whose = ran ? undefined : current;
        whose?.reject(error);
        waiting.unshift(
          ...keepOnce(
            batch.filter((each) => each !== whose),
            error,
          ),
        );
        return;
      }
      if (newest === undefined || !isFailure(error, 'registry.unreachable')) return rejectAll(batch, error);
      // What says nothing in the trail leaves nothing to look for.
      if (newest.seq === before) return rejectAll(batch, outcomeUnknown(error));
      const until = performance.now() + DOUBT_MS;
      doubtful.push({ head: newest, answers, batch, error, until });
      return;
    }
    resolve();
    settle(answers, newest);
  }

  /**
   * In a transaction of whoever writes: what was committed before has ended, and its entries are in the trail or never will be. Returns how to answer
   * once that transaction is committed, which is written by whoever has to write it, and all before it with it.
   */
  async function lookForDoubtful(number: number): Promise<() => void> {
    if (doubtful.length === 0) return () => {};
    const entries = doubtful.map(({ head }) => head.seq).join(', ');
    const { rows } = await link.send('write', {
      sql: `SELECT pg_current_xact_id(); SELECT seq, hash FROM audit WHERE seq IN (${entries})`,
      transaction: number,
    });
    const there = new Set(rows.map(([seq, hash]) => `${seq} ${hash}`));
    const found = doubtful.map(({ head: { seq, hash } }) => there.has(`${seq} \\x${toHex(hash)}`));
    return () => {
      const resolved = doubtful;
      doubtful = [];
      resolved.forEach(({ head, answers, batch, error }, at) => {
        if (found[at]) settle(answers, head);
        else rejectAll(batch, error);
      });
    };
  }

  function giveUpDoubts(): void {
    const now = performance.now();
    for (const { batch, error, until } of doubtful) if (until < now) rejectAll(batch, outcomeUnknown(error));
    doubtful = doubtful.filter(({ until }) => until >= now);
  }

  const rejectAll = (batch: readonly Waiting[], error: unknown): void => {
    for (const each of batch) each.reject(error);
  };

  /** The server refused a statement of one of them, and nothing was written: the others are begun again. */
  function doWithout(error: StatementError, batch: readonly Waiting[]): void {
    current?.reject(error);
    const others = batch.filter((each) => each !== current);
    // Where it was of several that were done together, it is not known whose: each is done alone.
    waiting.unshift(...(current === undefined ? alone(others) : others));
  }

  /** Nothing was written, as something took too long, which says little of the next time: those of `jobs` that were not tried before are tried once more. */
  function keepOnce(jobs: readonly Waiting[], error: unknown): Waiting[] {
    const kept = jobs.filter((each) => !late.has(each));
    rejectAll(
      jobs.filter((each) => late.has(each)),
      error,
    );
    for (const each of kept) late.add(each);
    return kept;
  }

  async function headIn(number: number): Promise<AuditHead> {
    const { rows } = await link.send('write', { sql: HEAD, statement: 'head', transaction: number });
    const [seq, hash] = rows[0]!;
    return { seq: Number(seq), hash: fromHex(hash!.slice('\\x'.length)) };
  }

  const undo = (number: number): Promise<unknown> =>
    link.send('write', { sql: 'ROLLBACK', transaction: number }).catch(() => {});

  /** Moves the jobs that are begun from those that wait to `batch`. Returns how to answer each of them. */
  async function runBatch(number: number, batch: Waiting[]): Promise<(() => void)[]> {
    current = undefined;
    const until = performance.now() + BATCH_MS;
    // Those that come meanwhile are of the next one.
    const most = Math.min(waiting.length, BATCH);
    const answers: (() => void)[] = [];
    while (batch.length < most && (batch.length === 0 || performance.now() < until)) {
      const kind = waiting[0]!.together?.kind;
      let many = 1;
      if (kind !== undefined)
        while (batch.length + many < most && waiting[many]!.together?.kind === kind) many++;
      const next = waiting.splice(0, many);
      batch.push(...next);
      if (kind === undefined) {
        answers.push(runAlone(number, next[0]!));
        continue;
      }
      const results = await runTogether(number, kind, next);
      const left: Waiting[] = [];
      batch.length -= next.length;
      for (const [at, job] of next.entries()) {
        const result = results?.[at];
        if (result === undefined) left.push(job);
        else {
          batch.push(job);
          answers.push(() => job.together!.answer(result));
        }
      }
      waiting.unshift(...alone(left));
    }
    return answers;
  }

  function runAlone(number: number, job: Waiting): () => void {
    current = job;
    return job.run(number);
  }

  /** What answers each of them; undefined: the statement did not do it. */
  async function runTogether(
    number: number,
    kind: Together<unknown, unknown>,
    jobs: readonly Waiting[],
  ): Promise<readonly unknown[] | undefined> {
    current = undefined;
    const statement = db.within(number, () => {
      try {
        return kind.together(jobs.map(({ together }) => together!.item));
      } catch (error) {
        if (isServers(error)) throw error;
        // The one whose error it is has it again alone.
        return undefined;
      }
    });
    return statement?.results(await link.send('write', { ...statement.query, transaction: number }));
  }

  function settle(answers: readonly (() => void)[], newest: AuditHead): void {
    afterCommit(newest);
    for (const answer of answers) answer();
  }

  let ended: (() => void) | undefined;
  const endIfDone = (): void => {
    if (!underway && doubtful.length === 0) ended?.();
  };
  return {
    submit: (job) =>
      new Promise((resolve, reject) => {
        waiting.push({ run: (number) => runJob(db, link, number, job, resolve, reject), reject });
        schedule();
      }),
    submitTogether: <Item, Result>(kind: Together<Item, Result>, item: Item) =>
      new Promise<Result>((resolve, reject) => {
        waiting.push({
          run: (number) => runJob(db, link, number, () => kind.alone(item), resolve, reject),
          reject,
          together: {
            kind: kind as Together<unknown, unknown>,
            item,
            answer: resolve as (value: unknown) => void,
          },
        });
        schedule();
      }),
    close: () =>
      new Promise((resolve) => {
        ended = resolve;
        endIfDone();
      }),
  };
}

/** Runs a job: what it did is undone alone if it throws. Returns how to tell its caller the result after the commit. */
function runJob<T>(
  db: ServerDatabase,
  link: Link,
  transaction: number,
  job: () => T,
  resolve: (result: T) => void,
  reject: (error: unknown) => void,
): () => void {
  return db.within(transaction, () => {
    try {
      const result = job();
      if (db.hasWritten()) link.ask('write', { sql: 'RELEASE job', transaction });
      return () => resolve(result);
    } catch (error) {
      // The server has ended the transaction, or is not there: nothing of this batch is written.
      if (isServers(error)) throw error;
      if (db.hasWritten()) link.ask('write', { sql: 'ROLLBACK TO job; RELEASE job', transaction });
      return () => reject(error);
    }
  });
}

const isServers = (error: unknown): boolean =>
  error instanceof StatementError ||
  (isFailure(error) && (error.code === 'registry.unreachable' || error.cause instanceof StatementError));
