import { type Backoff, pause } from '../protocol/backoff.ts';
import { Failure } from '../protocol/failure.ts';
import type { Verdict } from '../protocol/tunnel/verdict.ts';

/**
 * The device's life as a pure function: `step(situation, event, now)` gives the next situation and what to do.
 * No timer, no socket, no clock in here. Time comes in with `Moment`, and so does chance.
 */

/** `ms` is monotonic, from any origin; `random` is uniform in [0, 1). */
export interface Moment {
  readonly ms: number;
  readonly random: number;
}

/** Why the device provisions itself; `interrupted`: a new key was made already when the power went. */
export type Reason = 'first-boot' | 'evicted' | 'foreign-state' | 'interrupted';

/** What is worked on, or will be after a pause. */
export type Goal =
  | { readonly kind: 'prepare' }
  | { readonly kind: 'provision'; readonly reason: Reason; readonly address?: string }
  | { readonly kind: 'connect'; readonly address: string };

/** What has been going wrong since when, over however many attempts. */
export interface Trouble {
  readonly code: string;
  readonly message: string;
  readonly action?: string;
  readonly sinceMs: number;
  readonly attempts: number;
  /** When it was last written to the log. */
  readonly loggedMs: number;
}

/** Failures in a row per goal; what makes pauses grow. */
export interface Attempts {
  readonly prepare: number;
  readonly provision: number;
  readonly connect: number;
}

interface Common {
  readonly attempts: Attempts;
  /** When this situation began. */
  readonly sinceMs: number;
}

export type Situation =
  | { readonly kind: 'stopped' }
  /** Opening the state and the keys. */
  | (Common & {
      readonly kind: 'preparing';
      readonly goal: Goal & { kind: 'prepare' };
      readonly trouble?: Trouble;
    })
  | (Common & {
      readonly kind: 'provisioning';
      readonly goal: Goal & { kind: 'provision' };
      readonly trouble?: Trouble;
    })
  | (Common & {
      readonly kind: 'connecting';
      readonly goal: Goal & { kind: 'connect' };
      readonly trouble?: Trouble;
    })
  /** The router has answered through the tunnel. */
  | (Common & { readonly kind: 'online'; readonly goal: Goal & { kind: 'connect' } })
  /** A pause; the failure may pass by itself. */
  | (Common & {
      readonly kind: 'backing-off';
      readonly goal: Goal;
      readonly trouble: Trouble;
      readonly untilMs: number;
    })
  /** A pause; a person has to do something, the device looks now and then whether it was done. */
  | (Common & {
      readonly kind: 'blocked';
      readonly goal: Goal;
      readonly trouble: Trouble;
      readonly untilMs: number;
    });

export type Event =
  | { readonly kind: 'start' }
  /** State and keys are open; they say what comes next. */
  | { readonly kind: 'prepared'; readonly goal: Exclude<Goal, { kind: 'prepare' }> }
  | { readonly kind: 'provisioned'; readonly address: string }
  /** The tunnel carries packets. */
  | { readonly kind: 'up' }
  /** Whatever was under way did not work, or the tunnel broke. */
  | { readonly kind: 'failed'; readonly failure: Failure }
  | { readonly kind: 'verdict'; readonly verdict: Verdict }
  | { readonly kind: 'timer' }
  | { readonly kind: 'stop' };

export type Action =
  | { readonly kind: 'prepare' }
  | { readonly kind: 'provision' }
  | { readonly kind: 'connect' }
  | { readonly kind: 'wait'; readonly ms: number }
  | { readonly kind: 'log'; readonly level: 'warning' | 'notice' | 'info'; readonly message: string }
  /** Close everything: tunnel, device, keys. */
  | { readonly kind: 'release' };

export interface Step {
  readonly situation: Situation;
  readonly actions: readonly Action[];
}

/** Every pause but the three below: full jitter from the first on, at most five minutes. */
export const RETRY: Backoff = { firstMs: 1_000, capMs: 300_000 };
/** A tunnel that lasted this long makes the next failure a first one. */
export const STABLE_MS = 60_000;
/** A banned device asks once a day. */
export const BANNED_MS = 86_400_000;
/** The longest pause the fabric may ask for. */
export const LONGEST_RETRY_AFTER_MS = 86_400_000;
/** Causes that alternate are logged this far apart: at most ten lines an hour. */
export const LINE_EVERY_MS = 360_000;

const NO_ATTEMPTS: Attempts = { prepare: 0, provision: 0, connect: 0 };

export const STOPPED: Situation = { kind: 'stopped' };

/** The next situation and what to do now. An event that does not fit the situation changes nothing. */
export function step(situation: Situation, event: Event, now: Moment): Step {
  if (event.kind === 'stop') {
    return situation.kind === 'stopped'
      ? { situation, actions: [] }
      : { situation: STOPPED, actions: [say('notice', 'stopping'), { kind: 'release' }] };
  }
  if (situation.kind === 'stopped') {
    return event.kind === 'start'
      ? pursue({ kind: 'prepare' }, NO_ATTEMPTS, now, undefined)
      : { situation, actions: [] };
  }
  switch (event.kind) {
    case 'prepared':
      return situation.kind === 'preparing' ? prepared(situation, event, now) : stay(situation);
    case 'provisioned':
      return situation.kind === 'provisioning' ? provisioned(situation, event.address, now) : stay(situation);
    case 'up':
      return situation.kind === 'connecting' ? online(situation, now) : stay(situation);
    case 'failed':
      return isWaiting(situation) ? stay(situation) : failed(situation, event.failure, now);
    case 'verdict':
      return situation.kind === 'connecting' || situation.kind === 'online'
        ? judged(situation, event.verdict, now)
        : stay(situation);
    case 'timer':
      return isWaiting(situation)
        ? pursue(situation.goal, situation.attempts, now, situation.trouble)
        : stay(situation);
    case 'start':
      return stay(situation);
  }
}

type Alive = Exclude<Situation, { kind: 'stopped' }>;
type Waiting = Extract<Situation, { kind: 'backing-off' | 'blocked' }>;

const isWaiting = (situation: Alive): situation is Waiting =>
  situation.kind === 'backing-off' || situation.kind === 'blocked';

const stay = (situation: Situation): Step => ({ situation, actions: [] });

const say = (level: 'warning' | 'notice' | 'info', message: string): Action => ({
  kind: 'log',
  level,
  message,
});

/** Begins to work on a goal. */
function pursue(goal: Goal, attempts: Attempts, now: Moment, trouble: Trouble | undefined): Step {
  const common = { attempts, sinceMs: now.ms, ...(trouble && { trouble }) };
  switch (goal.kind) {
    case 'prepare':
      return { situation: { kind: 'preparing', goal, ...common }, actions: [{ kind: 'prepare' }] };
    case 'provision':
      return { situation: { kind: 'provisioning', goal, ...common }, actions: [{ kind: 'provision' }] };
    case 'connect':
      return { situation: { kind: 'connecting', goal, ...common }, actions: [{ kind: 'connect' }] };
  }
}

function prepared(
  situation: Extract<Situation, { kind: 'preparing' }>,
  { goal }: Extract<Event, { kind: 'prepared' }>,
  now: Moment,
): Step {
  const next = pursue(goal, { ...situation.attempts, prepare: 0 }, now, undefined);
  return { ...next, actions: [intention(goal), ...next.actions] };
}

function intention(goal: Exclude<Goal, { kind: 'prepare' }>): Action {
  if (goal.kind === 'connect') return say('info', `identity ${goal.address}: connecting`);
  switch (goal.reason) {
    case 'foreign-state':
      return say(
        'warning',
        'state.foreign: the state holds a key of another or cleared TPM; provisioning as this device',
      );
    case 'interrupted':
      return say('notice', `identity ${goal.address}: going on with an interrupted provisioning`);
    default:
      return say('notice', 'no identity yet: provisioning');
  }
}

function provisioned(
  situation: Extract<Situation, { kind: 'provisioning' }>,
  address: string,
  now: Moment,
): Step {
  const former = situation.goal.address;
  const next = pursue({ kind: 'connect', address }, { ...situation.attempts, connect: 0 }, now, undefined);
  const line =
    former !== undefined && former !== address
      ? say('warning', `provisioned: identity ${address}, formerly ${former}`)
      : say('notice', `provisioned: identity ${address}`);
  return { ...next, actions: [line, ...next.actions] };
}

function online(situation: Extract<Situation, { kind: 'connecting' }>, now: Moment): Step {
  const { goal, attempts, trouble } = situation;
  const after = trouble ? ` after ${attemptsText(trouble.attempts)}` : '';
  return {
    situation: { kind: 'online', goal, attempts, sinceMs: now.ms },
    actions: [say('notice', `online as ${goal.address}${after}`)],
  };
}

/** The counters as the next failure finds them: a stable minute online forgets the past. */
function remembered(situation: Alive, now: Moment): Attempts {
  const stable = situation.kind === 'online' && now.ms - situation.sinceMs >= STABLE_MS;
  return stable ? NO_ATTEMPTS : situation.attempts;
}

/**
 * Only the remedy decides, and `reprovision` is no remedy here: a failure on the way (network, TLS, a broken
 * connection, the server's unauthenticated Error) never costs the device its identity. Only `judged` may.
 */
function failed(situation: Exclude<Alive, Waiting>, failure: Failure, now: Moment): Step {
  const attempts = remembered(situation, now);
  // After a TPM error its context may be dead: the way back leads through opening it again.
  const goal: Goal =
    situation.goal.kind !== 'prepare' && failure.code.startsWith('tpm.')
      ? { kind: 'prepare' }
      : situation.goal;
  const failing = situation.goal.kind;
  return rest(situation, failure, {
    goal,
    attempts: { ...attempts, [failing]: attempts[failing] + 1 },
    ms: pause(RETRY, attempts[failing], now.random),
    blocked: failure.remedy === 'operator',
    now,
  });
}

/** The fabric's word, authenticated by TLS. */
function judged(
  situation: Extract<Situation, { kind: 'connecting' | 'online' }>,
  verdict: Verdict,
  now: Moment,
): Step {
  const { goal } = situation;
  const attempts = remembered(situation, now);
  const again = { ...attempts, connect: attempts.connect + 1 };
  const jitter = pause(RETRY, attempts.connect, now.random);
  switch (verdict.kind) {
    case 'evicted':
      return rest(
        situation,
        new Failure(
          'fabric.evicted',
          'reprovision',
          'the fabric has evicted this identity: provisioning anew',
        ),
        {
          goal: { kind: 'provision', reason: 'evicted', address: goal.address },
          attempts: { ...attempts, provision: attempts.provision + 1 },
          ms: pause(RETRY, attempts.provision, now.random),
          blocked: false,
          now,
        },
      );
    case 'banned':
      return rest(
        situation,
        new Failure('fabric.banned', 'operator', 'the fabric has banned this device', {
          action: 'Ask the owner of the network; the device asks again once a day.',
        }),
        { goal, attempts: again, ms: BANNED_MS + Math.floor(now.random * 3_600_000), blocked: true, now },
      );
    case 'unknown':
      return rest(
        situation,
        new Failure('fabric.unknown-key', 'retry', 'the fabric does not know the key of this identity', {
          action: 'If the fabric has lost its registry, run "enf-agent forget --yes" to provision anew.',
        }),
        { goal, attempts: again, ms: jitter, blocked: false, now },
      );
    case 'retry-after': {
      const asked = Math.min(verdict.seconds * 1_000, LONGEST_RETRY_AFTER_MS);
      return rest(
        situation,
        new Failure('fabric.retry-after', 'retry', `the fabric asks to come back in ${verdict.seconds} s`),
        // At least what was asked, and not everybody at the same moment.
        {
          goal,
          attempts: again,
          ms: asked + Math.max(jitter, Math.floor((now.random * asked) / 2)),
          blocked: false,
          now,
        },
      );
    }
  }
}

interface Rest {
  readonly goal: Goal;
  readonly attempts: Attempts;
  readonly ms: number;
  readonly blocked: boolean;
  readonly now: Moment;
}

/** Goes into a pause; writes a line when the cause is new, not at every attempt. */
function rest(
  situation: Exclude<Alive, Waiting>,
  failure: Failure,
  { goal, attempts, ms, blocked, now }: Rest,
): Step {
  const past = situation.kind === 'online' ? undefined : situation.trouble;
  const attempt = (past?.attempts ?? 0) + 1;
  const line = past === undefined || (past.code !== failure.code && now.ms - past.loggedMs >= LINE_EVERY_MS);
  const trouble: Trouble = {
    code: failure.code,
    message: failure.message,
    ...(failure.action !== undefined && { action: failure.action }),
    sinceMs: past?.sinceMs ?? now.ms,
    attempts: attempt,
    loggedMs: line ? now.ms : past.loggedMs,
  };
  const remedy = failure.action === undefined ? '' : ` ${failure.action}`;
  const message = `${failure.code}: ${failure.message}.${remedy} (${attemptsText(attempt)}, next try in ${duration(ms)})`;
  return {
    situation: {
      kind: blocked ? 'blocked' : 'backing-off',
      goal,
      attempts,
      trouble,
      untilMs: now.ms + ms,
      sinceMs: now.ms,
    },
    actions: [...(line ? [say('warning', message)] : []), { kind: 'wait', ms }],
  };
}

const attemptsText = (attempts: number): string =>
  `${attempts} failed ${attempts === 1 ? 'attempt' : 'attempts'}`;

/** A pause for people: "0.4 s", "12 s", "5 min", "24 h". */
export function duration(ms: number): string {
  if (ms < 10_000) return `${(ms / 1_000).toFixed(1)} s`;
  if (ms < 120_000) return `${Math.round(ms / 1_000)} s`;
  if (ms < 7_200_000) return `${Math.round(ms / 60_000)} min`;
  return `${Math.round(ms / 3_600_000)} h`;
}
