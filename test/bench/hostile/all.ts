import type { Attack } from './attack.ts';
import { threadDelay } from './thread-delay.ts';

/** Every attack that is measured, in the order of the table. */
export const ATTACKS: readonly Attack[] = [threadDelay];
