import type { Attack } from './attack.ts';
import { firstPackets } from './first-packets.ts';
import { queueLoss } from './queue-loss.ts';

/** Every attack that is measured, in the order of the table. */
export const ATTACKS: readonly Attack[] = [firstPackets, queueLoss];
