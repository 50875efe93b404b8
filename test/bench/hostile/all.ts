import type { Attack } from './attack.ts';
import { firstPackets } from './first-packets.ts';
import { oneDevice } from './one-device.ts';
import { queueLoss } from './queue-loss.ts';
import { threadDelay } from './thread-delay.ts';

/** Every attack that is measured, in the order of the table. */
export const ATTACKS: readonly Attack[] = [threadDelay, firstPackets, queueLoss, oneDevice];
