import { Failure, isFailure } from '../../protocol/failure.ts';
import type { Scope } from '../access/scope.ts';
import type { JobKeeper } from './kept.ts';
import type { JobView } from './view.ts';

/*
 * What touches many rows is a job: it is begun, goes on by itself in turns that leave the fabric to its devices, and can be looked at and
 * cancelled meanwhile. One that the end of the fabric has cut short is listed as interrupted from the next start on: it has done what the audit trail says,
 * and is begun anew. Those that have ended are in memory alone.
 */

/** What a job's work tells of itself. */
export interface Progress {
  /** Aborted when somebody cancels the job. */
  readonly signal: AbortSignal;
  row(changed: boolean): void;
  /** A row that could not be changed. */
  failed(subject: string, failure: Failure): void;
  effect(text: string): void;
}

/** The jobs of a fabric. */
export interface Jobs {
  /**
   * Begins one, of an owner, once `ready` has come to its end. It has its place among the running ones from the call on; where `ready` fails there
   * never was one.
   * @throws Failure `jobs.too-many`, and those of `ready`
   */
  start(
    of: Pick<JobView, 'operation' | 'input' | 'actor'> & { readonly owner: number },
    work: (progress: Progress) => Promise<void>,
    ready?: () => Promise<void>,
  ): Promise<JobView>;
  /** Newest first. */
  list(scope: Scope): readonly JobView[];
  /** @throws Failure `jobs.unknown` */
  show(scope: Scope, id: number): JobView;
  /** @throws Failure `jobs.unknown` */
  cancel(scope: Scope, id: number): JobView;
  /** Keeps how far those are that are running: the fabric ends. */
  close(): Promise<void>;
}

/** Of one owner. */
const MOST_RUNNING = 4;
const MOST_KEPT = 50;
const MOST_FAILURES = 100;
/** So often the progress of a job is kept at most. */
const KEEP_MS = 1_000;

interface Kept {
  readonly job: Mutable;
  readonly stop: AbortController;
  readonly owner: number;
  /** What is to be written of it, one after the other. */
  turn: Promise<void>;
  timer?: ReturnType<typeof setTimeout> | undefined;
}

const isIn = ({ everything, owner }: Scope, job: Kept): boolean => everything || job.owner === owner;

type Mutable = { -readonly [K in keyof JobView]: JobView[K] } & { failures: JobView['failures'][number][] };

/**
 * `now`: milliseconds since 1970; the numbers of jobs begin with its seconds, so that none is given twice. `onError` receives what is no Failure, and what
 * keeps the progress of a job from being kept, which goes on. Without a `keeper` nothing is.
 */
export function openJobs(
  now: () => number = Date.now,
  onError: (error: unknown) => void = () => {},
  keeper?: JobKeeper,
): Jobs {
  const jobs = new Map<number, Kept>();
  for (const { owner, job } of keeper?.found ?? []) {
    const ended = job.ended ?? job.started;
    const cut: Mutable = { ...job, failures: [...job.failures], state: 'interrupted', ended };
    jobs.set(job.id, { job: cut, owner, stop: new AbortController(), turn: Promise.resolve() });
  }
  let last = Math.max(Math.floor(now() / 1_000), ...jobs.keys());

  /** Does something with the file of a job, after what is under way with it. */
  const inTurn = (kept: Kept, work: (keeper: JobKeeper) => Promise<void>): Promise<void> => {
    if (keeper === undefined) return Promise.resolve();
    const done = kept.turn.then(() => work(keeper));
    kept.turn = done.catch(onError);
    return done;
  };
  /** It is not known when the fabric ends: so each time is that of the end. */
  const keep = (kept: Kept): Promise<void> =>
    inTurn(kept, (to) =>
      to.keep({ owner: kept.owner, job: { ...view(kept.job), ended: new Date(now()).toISOString() } }),
    );
  const keepSoon = (kept: Kept): void => {
    if (keeper === undefined || kept.timer !== undefined) return;
    kept.timer = setTimeout(() => {
      kept.timer = undefined;
      keep(kept).catch(() => {});
    }, KEEP_MS).unref();
  };
  const forget = (kept: Kept): void => {
    clearTimeout(kept.timer);
    inTurn(kept, (from) => from.drop(kept.job.id)).catch(() => {});
  };

  const ofOwner = (owner: number): Kept[] => [...jobs.values()].filter((each) => each.owner === owner);
  const find = (scope: Scope, id: number): Kept => {
    const found = jobs.get(id);
    if (found === undefined || !isIn(scope, found)) throw unknownJob(id);
    return found;
  };
  const end = (kept: Kept, state: JobView['state']): void => {
    const { job, owner } = kept;
    job.state = state;
    job.ended = new Date(now()).toISOString();
    forget(kept);
    const own = ofOwner(owner);
    const ended = own.filter(({ job: each }) => each.state !== 'running');
    for (const old of ended.slice(0, Math.max(0, own.length - MOST_KEPT))) {
      jobs.delete(old.job.id);
      if (old.job.state === 'interrupted') forget(old);
    }
  };
  const view = (job: Mutable): JobView => ({ ...job, failures: [...job.failures] });

  return {
    async start({ owner, ...of }, work, ready = async () => {}) {
      if (ofOwner(owner).filter(({ job }) => job.state === 'running').length >= MOST_RUNNING) throw tooMany();
      const stop = new AbortController();
      const job: Mutable = {
        ...{ id: ++last, ...of, state: 'running', started: new Date(now()).toISOString(), ended: null },
        ...{ rows: 0, changed: 0, failed: 0, failures: [], effect: null },
      };
      const failed = (subject: string, { code, message }: Failure): void => {
        job.failed++;
        if (job.failures.length < MOST_FAILURES) job.failures.push({ subject, code, message });
      };
      const kept: Kept = { job, stop, owner, turn: Promise.resolve() };
      jobs.set(job.id, kept);
      try {
        await ready();
        await keep(kept);
      } catch (error) {
        jobs.delete(job.id);
        throw error;
      }
      work({
        signal: stop.signal,
        row(changed) {
          job.rows++;
          if (changed) job.changed++;
          keepSoon(kept);
        },
        failed,
        effect(text) {
          job.effect = text;
        },
      }).then(
        () => end(kept, stop.signal.aborted ? 'cancelled' : 'done'),
        (error: unknown) => {
          if (!isFailure(error)) onError(error);
          failed('', isFailure(error) ? error : internal(error));
          end(kept, 'failed');
        },
      );
      return view(job);
    },
    list: (scope) =>
      [...jobs.values()]
        .filter((each) => isIn(scope, each))
        .map(({ job }) => view(job))
        .reverse(),
    show: (scope, id) => view(find(scope, id).job),
    cancel(scope, id) {
      const { job, stop } = find(scope, id);
      stop.abort();
      return view(job);
    },
    async close() {
      const running = [...jobs.values()].filter(({ job }) => job.state === 'running');
      await Promise.allSettled(running.map((kept) => keep(kept)));
    },
  };
}

const unknownJob = (id: number): Failure =>
  new Failure(
    'jobs.unknown',
    'operator',
    `there is no job ${id}: it may have ended before the fabric was started`,
    {
      action:
        'See what was done in the audit trail, and begin it anew: what is done already is not done again.',
    },
  );

const tooMany = (): Failure =>
  new Failure('jobs.too-many', 'retry', `${MOST_RUNNING} jobs are running`, {
    action: 'Wait until one has ended, or cancel one.',
  });

const internal = (cause: unknown): Failure =>
  new Failure('jobs.internal-error', 'operator', `internal error: ${(cause as Error).message}`, {
    action: 'Report this with the log of the fabric.',
    cause,
  });
