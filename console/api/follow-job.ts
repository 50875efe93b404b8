import type { JobView } from '../../fabric/jobs/view.ts';
import { run } from './operations.ts';
import { Problem } from './problem.ts';

const POLL_MS = 500;
/** How often in a row the fabric may not answer: it takes half a minute to be started again. */
const MOST_SILENT = 60;

/** Waits for the end of a job, also while the fabric is restarted, and shows how far it is. @throws Problem */
export async function followed(begun: JobView, show: (job: JobView) => void = () => {}): Promise<JobView> {
  let job = begun;
  let silent = 0;
  while (job.state === 'running') {
    show(job);
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    try {
      job = await run('job-show', { id: job.id });
      silent = 0;
    } catch (error) {
      if (!(error instanceof Problem && error.passes) || ++silent > MOST_SILENT) throw error;
    }
  }
  return job;
}

/** What is to be added to what a job has done. */
export function endOf({ state }: JobView): string {
  if (state === 'interrupted')
    return ' The fabric was restarted before the job had ended: begin it anew, what is done already is not done again.';
  return state === 'done' ? '' : ` The job was ${state}.`;
}
