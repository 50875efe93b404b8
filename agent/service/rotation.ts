import { pause } from '../../protocol/backoff.ts';
import { dueAt, type KeyAge, overduePause, ROTATION_RETRY } from '../lifecycle/rotation.ts';
import { STABLE_MS } from '../lifecycle/timing.ts';
import type { HandshakeEnd, RotationFacts } from '../status/facts.ts';
import type { Driver } from './driver.ts';

/** How often it is looked whether the key is due. */
export const LOOK_MS = 60_000;

/** Replaces the longterm key when it has reached its age, while the tunnel is up. */
export interface Rotation {
  /** Runs the handshake if it is time for it. */
  look(): void;
  facts(): RotationFacts | undefined;
}

export interface RotationParts {
  /** How old a key may become, in milliseconds. */
  readonly afterMs: number;
  readonly driver: Pick<Driver, 'situation' | 'renew' | 'handshakeEnd'>;
  /** When the key in use was provisioned: ISO 8601. */
  readonly provisioned: () => string | undefined;
  /** Milliseconds since 1970. */
  readonly wallMs: () => number;
  /** The lifecycle's clock. */
  readonly clock: () => number;
  readonly chance: () => number;
}

export function keepRotation(parts: RotationParts): Rotation {
  const { afterMs, driver, provisioned, wallMs, clock, chance } = parts;
  /** By the lifecycle's clock: not before; undefined until it was first looked. */
  let earliest: number | undefined;
  let failures = 0;
  let failure: RotationFacts['failure'];

  const key = (): KeyAge | undefined => {
    const situation = driver.situation();
    if (situation.kind === 'stopped' || !('address' in situation.goal)) return undefined;
    const { address } = situation.goal;
    return address === undefined ? undefined : { address, provisioned: provisioned() };
  };

  const ended = (end: HandshakeEnd | undefined): void => {
    if (end === undefined) return;
    if ('address' in end) {
      failures = 0;
      failure = undefined;
      return;
    }
    earliest = clock() + ROTATION_RETRY.firstMs + pause(ROTATION_RETRY, failures++, chance());
    failure = { code: end.failure.code, message: end.failure.message };
  };

  return {
    look() {
      const situation = driver.situation();
      const now = clock();
      // Only then is the clock plausible, and the fabric there.
      if (situation.kind !== 'online' || now - situation.sinceMs < STABLE_MS) return;
      const due = dueAt({ address: situation.goal.address, provisioned: provisioned() }, afterMs);
      const isDue = wallMs() >= due;
      earliest ??= isDue ? now + overduePause(afterMs, chance()) : now;
      if (!isDue || now < earliest) return;
      const end = driver.handshakeEnd();
      if (driver.renew()) void end.then(ended);
    },
    facts() {
      const age = key();
      if (age === undefined) return undefined;
      const paused = Math.max(0, (earliest ?? 0) - clock());
      const next = Math.max(dueAt(age, afterMs), wallMs() + paused);
      return { next: new Date(next).toISOString(), ...(failure !== undefined && { failure }) };
    },
  };
}
