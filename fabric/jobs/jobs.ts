import { Failure, isFailure } from '../../protocol/failure.ts';
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
  /** Begins one. @throws Failure `jobs.too-many` */
  start(
    of: Pick<JobView, 'operation' | 'input' | 'actor'>,
    work: (progress: Progress) => Promise<void>,
  ): JobView;
  /** Newest first. */
  list(): readonly JobView[];
  /** @throws Failure `jobs.unknown` */
  show(id: number): JobView;
  /** @throws Failure `jobs.unknown` */
  cancel(id: number): JobView;
}

const MOST_RUNNING = 4;
const MOST_KEPT = 50;
const MOST_FAILURES = 100;

type Mutable = { -readonly [K in keyof JobView]: JobView[K] } & { failures: JobView['failures'][number][] };

/**
 * `now`: milliseconds since 1970; the numbers of jobs begin with its seconds, so that none is given twice. `onError` receives what is no Failure.
 */
export function openJobs(now: () => number = Date.now, onError: (error: unknown) => void = () => {}): Jobs {
  const jobs = new Map<number, { readonly job: Mutable; readonly stop: AbortController }>();
  let last = Math.floor(now() / 1_000);

  const find = (id: number) => {
    const found = jobs.get(id);
    if (found === undefined) throw unknownJob(id);
    return found;
  };
  const end = (job: Mutable, state: JobView['state']): void => {
    job.state = state;
    job.ended = new Date(now()).toISOString();
    for (const [id, { job: each }] of jobs)
      if (jobs.size > MOST_KEPT && each.state !== 'running') jobs.delete(id);
  };
  const view = (job: Mutable): JobView => ({ ...job, failures: [...job.failures] });

  return {
    start(of, work) {
      if ([...jobs.values()].filter(({ job }) => job.state === 'running').length >= MOST_RUNNING)
        throw tooMany();
      const stop = new AbortController();
      const job: Mutable = {
        ...{ id: ++last, ...of, state: 'running', started: new Date(now()).toISOString(), ended: null },
        ...{ rows: 0, changed: 0, failed: 0, failures: [], effect: null },
      };
      const failed = (subject: string, { code, message }: Failure): void => {
        job.failed++;
        if (job.failures.length < MOST_FAILURES) job.failures.push({ subject, code, message });
      };
      jobs.set(job.id, { job, stop });
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
        () => end(job, stop.signal.aborted ? 'cancelled' : 'done'),
        (error: unknown) => {
          if (!isFailure(error)) onError(error);
          failed('', isFailure(error) ? error : internal(error));
          end(job, 'failed');
        },
      );
      return view(job);
    },
    list: () => [...jobs.values()].map(({ job }) => view(job)).reverse(),
    show: (id) => view(find(id).job),
    cancel(id) {
      const { job, stop } = find(id);
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
