import { pause } from '../../protocol/backoff.ts';
import { type Config, isEnrolled } from '../config/config.ts';
import { dueAt, overduePause, ROTATION_RETRY, renewalAge } from '../lifecycle/rotation.ts';
import { STABLE_MS } from '../lifecycle/timing.ts';
import type { Facts, HandshakeEnd, RotationFacts } from '../status/facts.ts';
import type { Driver } from './driver.ts';

/** How often it is looked whether the key is due. */
export const LOOK_MS = 60_000;

/** Replaces the key of the identity when it has reached its age, while the tunnel is up. */
export interface Rotation {
  /** Begins to replace it if it is time for it. */
  look(): void;
  facts(): RotationFacts | undefined;
}

export interface RotationParts {
  /** How old the key in use may become, in milliseconds; undefined: nobody knows yet. */
  readonly afterMs: () => number | undefined;
  readonly driver: Pick<Driver, 'situation' | 'renew' | 'handshakeEnd'>;
  /** Since when it is in use: ISO 8601. */
  readonly provisioned: () => string | undefined;
  /** Milliseconds since 1970. */
  readonly wallMs: () => number;
  /** The lifecycle's clock. */
  readonly clock: () => number;
  readonly chance: () => number;
}

/** How old the key in use may become, and since when it is; undefined: it is never replaced, or by whoever put it there. */
export function ageOfKey(
  config: Config,
  facts: () => Pick<Facts, 'certificate' | 'lastHandshake'>,
): Pick<RotationParts, 'afterMs' | 'provisioned'> | undefined {
  const { mode, rotateAfter } = config.identity;
  if (isEnrolled(config)) {
    return {
      afterMs() {
        const { certificate } = facts();
        if (certificate === undefined) return undefined;
        return renewalAge(Date.parse(certificate.notAfter) - Date.parse(certificate.notBefore), rotateAfter);
      },
      provisioned: () => facts().certificate?.notBefore,
    };
  }
  if (mode === 'pki' || rotateAfter === 0) return undefined;
  return { afterMs: () => rotateAfter, provisioned: () => facts().lastHandshake };
}

export function keepRotation(parts: RotationParts): Rotation {
  const { afterMs, driver, provisioned, wallMs, clock, chance } = parts;
  /** By the lifecycle's clock: not before; undefined until it was first looked. */
  let earliest: number | undefined;
  let failures = 0;
  let failure: RotationFacts['failure'];

  const due = (address: string): { readonly atMs: number; readonly afterMs: number } | undefined => {
    const age = afterMs();
    if (age === undefined) return undefined;
    return { atMs: dueAt({ address, provisioned: provisioned() }, age), afterMs: age };
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
      const next = due(situation.goal.address);
      if (next === undefined) return;
      const isDue = wallMs() >= next.atMs;
      earliest ??= isDue ? now + overduePause(next.afterMs, chance()) : now;
      if (!isDue || now < earliest) return;
      const end = driver.handshakeEnd();
      if (driver.renew()) void end.then(ended);
    },
    facts() {
      const situation = driver.situation();
      if (situation.kind === 'stopped' || !('address' in situation.goal)) return undefined;
      const { address } = situation.goal;
      const found = address === undefined ? undefined : due(address);
      if (found === undefined) return undefined;
      const paused = Math.max(0, (earliest ?? 0) - clock());
      const next = Math.max(found.atMs, wallMs() + paused);
      return { next: new Date(next).toISOString(), ...(failure !== undefined && { failure }) };
    },
  };
}
