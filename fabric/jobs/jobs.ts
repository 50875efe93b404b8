import { Failure, isFailure } from '../../protocol/failure.ts';
import type { Scope } from '../access/scope.ts';
import type { JobView } from './view.ts';

/*
 * What touches many rows is a job: it is begun, goes on by itself in turns that leave the fabric to its devices, and can be looked at and
 * cancelled meanwhile. Jobs are in memory: one that the end of the fabric has cut short has done what the audit trail says, and is begun anew.
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
}

/** Of one owner. */
const MOST_RUNNING = 4;
const MOST_KEPT = 50;
const MOST_FAILURES = 100;

interface Kept {
  readonly job: Mutable;
  readonly stop: AbortController;
  readonly owner: number;
}

const isIn = ({ everything, owner }: Scope, job: Kept): boolean => everything || job.owner === owner;

type Mutable = { -readonly [K in keyof JobView]: JobView[K] } & { failures: JobView['failures'][number][] };

/**
 * `now`: milliseconds since 1970; the numbers of jobs begin with its seconds, so that none is given twice. `onError` receives what is no Failure.
 */
export function openJobs(now: () => number = Date.now, onError: (error: unknown) => void = () => {}): Jobs {
  const jobs = new Map<number, Kept>();
  let last = Math.floor(now() / 1_000);

  const ofOwner = (owner: number): Kept[] => [...jobs.values()].filter((each) => each.owner === owner);
  const find = (scope: Scope, id: number): Kept => {
    const found = jobs.get(id);
    if (found === undefined || !isIn(scope, found)) throw unknownJob(id);
    return found;
  };
  const end = ({ job, owner }: Kept, state: JobView['state']): void => {
    job.state = state;
    job.ended = new Date(now()).toISOString();
    const own = ofOwner(owner);
    const ended = own.filter(({ job: each }) => each.state !== 'running');
    for (const { job: each } of ended.slice(0, Math.max(0, own.length - MOST_KEPT))) jobs.delete(each.id);
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
      const kept = { job, stop, owner };
      jobs.set(job.id, kept);
      try {
        await ready();
      } catch (error) {
        jobs.delete(job.id);
        throw error;
      }
      work({
        signal: stop.signal,
        row(changed) {
          job.rows++;
          if (changed) job.changed++;
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
  };
}

const unknownJob = (id: number): Failure =>
  new Failure(
    'jobs.unknown',
    'operator',
    `there is no job ${id}: it may be of before the fabric was started`,
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
