import type { Check as AnyCheck } from '../../cli/check.ts';
import type { Probes } from './probes.ts';

/** One thing that a device needs; docs/doctor.md has a line for each id. */
export type Check = AnyCheck<Probes>;
