import type { Jobs } from '../jobs/jobs.ts';
import type { JobView } from '../jobs/view.ts';
import { whole } from './contract/input.ts';
import { type Context, operation } from './contract/operation.ts';
import type { JobsView } from './views/jobs.ts';

/** @throws Error beside a registry alone */
export function jobsOf({ jobs }: Pick<Context, 'jobs'>): Jobs {
  if (jobs === undefined) throw new Error('a job beside a registry alone');
  return jobs;
}

const ID = { id: whole(1, Number.MAX_SAFE_INTEGER) };

export const listJobs = operation<object, JobsView>('job-list', {}, async (context) => ({
  rows: jobsOf(context).list(context.registry.scope),
}));

/** @throws Failure `jobs.unknown` */
export const showJob = operation<{ id: number }, JobView>('job-show', ID, async (context, { id }) =>
  jobsOf(context).show(context.registry.scope, id),
);

/** What was done stays done. @throws Failure `jobs.unknown` */
export const cancelJob = operation<{ id: number }, JobView>('job-cancel', ID, async (context, { id }) => {
  const job = jobsOf(context).cancel(context.registry.scope, id);
  await context.registry.record(context.actor, 'job.cancel', `job ${id}`);
  return job;
});
