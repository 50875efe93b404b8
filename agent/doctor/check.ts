import type { Check as AnyCheck } from '../../cli/check.ts';
import type { Probes } from './probes.ts';

export { type Finding, failed, failing, type Outcome, ok, skipped, warning } from '../../cli/check.ts';

/** One thing that a device needs; docs/doctor.md has a line for each id. */
export type Check = AnyCheck<Probes>;
