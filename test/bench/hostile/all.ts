import type { Attack } from './attack.ts';
import { CONNECTS } from './connects.ts';

/** Every attack that is measured, in the order of the table. */
export const ATTACKS: readonly Attack[] = [CONNECTS];
