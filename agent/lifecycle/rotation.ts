import type { Backoff } from '../../protocol/backoff.ts';
import { ascii, readU32 } from '../../protocol/bytes.ts';
import { sha256 } from '../../protocol/crypto/sha256.ts';

/** When the key of an identity is replaced by another one. Times of day are in milliseconds since 1970. */

/** Devices of one age are spread over this part of it. */
const SPREAD = 0.1;
/** Those that are overdue when they start, after a change of the configuration or the return of the power, over the same, an hour at most. */
const OVERDUE_MS = 3_600_000;
/** After a failure. */
export const ROTATION_RETRY: Backoff = { firstMs: 120_000, capMs: 3_600_000 };

/** The key in use, as the state has it. */
export interface KeyAge {
  /** RFC 5952 text of the identity. */
  readonly address: string;
  /** When it was provisioned: ISO 8601; undefined: nobody knows. */
  readonly provisioned: string | undefined;
}

/**
 * When the key is due: never later than `afterMs` after it was provisioned, and at a moment of its own, which stays the same across restarts. A
 * key of unknown age has been due for ever.
 */
export function dueAt({ address, provisioned }: KeyAge, afterMs: number): number {
  const since = provisioned === undefined ? Number.NaN : Date.parse(provisioned);
  if (Number.isNaN(since)) return 0;
  const digest = sha256(ascii(`${address} ${new Date(since).toISOString()}`));
  return since + Math.ceil(afterMs * (1 - (SPREAD * readU32(digest, 0)) / 2 ** 32));
}

/** How old a certificate may become that is valid for `validMs`: two thirds of that, less if `rotateAfterMs` is less (0: off). */
export const renewalAge = (validMs: number, rotateAfterMs: number): number =>
  Math.min((validMs * 2) / 3, rotateAfterMs || Number.POSITIVE_INFINITY);

/** How long a device waits whose key is due when it starts; `random` is uniform in [0, 1). */
export const overduePause = (afterMs: number, random: number): number =>
  Math.floor(random * Math.min(OVERDUE_MS, afterMs * SPREAD));
