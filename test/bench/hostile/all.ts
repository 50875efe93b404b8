import type { Attack } from './attack.ts';
import { CONNECTS } from './connects.ts';
import { firstPackets } from './first-packets.ts';
import { oneDevice } from './one-device.ts';
import { queueLoss } from './queue-loss.ts';
import { threadDelay } from './thread-delay.ts';

/** Every attack that is measured, in the order of the table. */
export const ATTACKS: readonly Attack[] = [threadDelay, CONNECTS, firstPackets, queueLoss, oneDevice];
