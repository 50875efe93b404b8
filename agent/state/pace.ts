import { isPace } from '../../protocol/tunnel/pace.ts';
import type { DeviceRecord } from './state.ts';

/*
 * How long the device waits at most before it tries the fabric again, as it was told last: it is needed when there is no tunnel, and also after a start
 * without one.
 */

/** What is kept, in seconds; undefined: nothing valid. */
export const keptPace = ({ pace }: DeviceRecord): number | undefined => (isPace(pace) ? pace : undefined);

/** The record with this. */
export const withPace = (record: DeviceRecord, pace: number): DeviceRecord => ({ ...record, pace });
