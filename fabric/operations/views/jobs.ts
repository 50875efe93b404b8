import { JobView } from '../../jobs/view.ts';
import { rowsOf, type Shown } from '../contract/output.ts';

export const JobsView = rowsOf(JobView);
export type JobsView = Shown<typeof JobsView>;
