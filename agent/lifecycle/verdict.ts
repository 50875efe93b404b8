import { pause } from '../../protocol/backoff.ts';
import { Failure } from '../../protocol/failure.ts';
import type { Verdict } from '../../protocol/tunnel/verdict.ts';
import type { Attempts, Goal, Moment, Pause } from './situation.ts';
import { BANNED_MS, LONGEST_RETRY_AFTER_MS, retryAtFabric } from './timing.ts';

/**
 * What a verdict of the fabric means for a device that connects as `goal` says: the failure to show, and the pause. The only
 * place where an identity may be given up.
 */
export function consequence(
  goal: Goal & { readonly kind: 'connect' },
  attempts: Attempts,
  verdict: Verdict,
  now: Moment,
): Pause & { readonly failure: Failure } {
  const { address } = goal;
  const again = { ...attempts, connect: attempts.connect + 1 };
  const { random } = now;
  const retry = retryAtFabric(now);
  const jitter = pause(retry, attempts.connect, random);
  switch (verdict.kind) {
    case 'evicted':
      return {
        failure: new Failure(
          'fabric.evicted',
          'reprovision',
          'the fabric has evicted this identity: provisioning again',
        ),
        goal: { kind: 'provision', reason: 'evicted', address },
        attempts: { ...attempts, provision: attempts.provision + 1 },
        ms: pause(retry, attempts.provision, random),
        blocked: false,
      };
    case 'unregistered':
      return {
        failure: new Failure(
          'fabric.unregistered',
          'reprovision',
          'the fabric, restored from a backup, does not know this identity: proving that it is ours',
        ),
        goal: { kind: 'provision', reason: 'unregistered', address },
        attempts: { ...attempts, provision: attempts.provision + 1 },
        ms: pause(retry, attempts.provision, random),
        blocked: false,
      };
    case 'banned':
      return {
        failure: new Failure('fabric.banned', 'operator', 'the fabric has banned this device', {
          action: `Ask the owner of the network; the device asks again ${every(verdict.seconds, 'once a day')}.`,
        }),
        goal,
        attempts: again,
        ms:
          verdict.seconds === 0 ? BANNED_MS + Math.floor(random * 3_600_000) : later(verdict.seconds, random),
        blocked: true,
      };
    case 'suspended':
      return {
        failure: new Failure(
          'fabric.suspended',
          'operator',
          'the fabric has suspended the group of this device',
          {
            action: `Ask the owner of the network; the device asks again ${every(verdict.seconds, 'now and then')}.`,
          },
        ),
        goal,
        attempts: again,
        // A fabric that says no time is asked at the pauses of any other failure.
        ms: verdict.seconds === 0 ? jitter : later(verdict.seconds, random),
        blocked: true,
      };
    case 'retired':
      return {
        failure: new Failure('fabric.retired', 'operator', 'the fabric has retired this device for good', {
          action:
            'If it goes out of service, "enf-agent decommission --offline" removes what is left of it; the device asks again once a day.',
        }),
        goal,
        attempts: again,
        ms: BANNED_MS + Math.floor(random * 3_600_000),
        blocked: true,
      };
    case 'unknown':
      return {
        failure: new Failure(
          'fabric.unknown-key',
          'retry',
          'the fabric does not know the key of this identity',
          {
            action:
              'If this device was put back to an earlier state, run "enf-agent provision --force". If its certificate or the CA was revoked or removed, it needs another one: "enf-agent enroll --force" with a new code.',
          },
        ),
        // After an interrupted renewal the fabric may already know the new key.
        goal: goal.unfinished ? { kind: 'provision', reason: 'interrupted', address } : goal,
        attempts: again,
        ms: jitter,
        blocked: false,
      };
    case 'retry-after':
      return {
        failure: new Failure(
          'fabric.retry-after',
          'retry',
          `the fabric asks this device to connect again in ${verdict.seconds} s`,
        ),
        goal,
        attempts: again,
        ms: Math.max(jitter, later(verdict.seconds, random)),
        blocked: false,
      };
  }
}

/** At least what was asked, and not everybody at the same moment. */
function later(seconds: number, random: number): number {
  const asked = Math.min(seconds * 1_000, LONGEST_RETRY_AFTER_MS);
  return asked + Math.floor((random * asked) / 2);
}

/** How often it asks; `otherwise` if the fabric gives no time. */
const every = (seconds: number, otherwise: string): string =>
  seconds === 0 ? otherwise : `in ${seconds} s or somewhat later`;
