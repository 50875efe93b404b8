import type { Backoff } from '../../protocol/backoff.ts';
import type { Moment } from './situation.ts';

/** Every pause but the three below: full jitter from the first on, at most five minutes. */
export const RETRY: Backoff = { firstMs: 1_000, capMs: 300_000 };
/** The pauses between attempts at the fabric: at most as long as it has said, if it has. */
export const retryAtFabric = ({ longestMs = RETRY.capMs }: Moment): Backoff => ({
  ...RETRY,
  capMs: longestMs,
});
/** A tunnel that lasted this long makes the next failure a first one. */
export const STABLE_MS = 60_000;
/** A banned device that is told no time asks once a day, and so does one that is retired. */
export const BANNED_MS = 86_400_000;
/** The longest pause the fabric may ask for. */
export const LONGEST_RETRY_AFTER_MS = 86_400_000;
/** So many hosts are asked one after the other if each asks the device to come again later. */
export const MOST_ASKED = 3;
/** After a network change a device connects within this, spread evenly: devices whose power returns together must not connect at once. */
export const NETWORK_MS = 2_000;
/** Causes that alternate are logged this far apart: at most ten lines an hour. */
export const LINE_EVERY_MS = 360_000;
