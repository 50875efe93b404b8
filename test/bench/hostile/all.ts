import type { Attack } from './attack.ts';
import { oneDevice } from './one-device.ts';

/** Every attack that is measured, in the order of the table. */
export const ATTACKS: readonly Attack[] = [oneDevice];
