import { pause } from '../../protocol/backoff.ts';
import type { Failure } from '../../protocol/failure.ts';
import { counted } from '../../protocol/words.ts';
import { arrived, drained, moveIfDrained, notMoved, undrained, whenDrained } from './drain.ts';
import { duration } from './duration.ts';
import { afterFailure, isUnproven } from './failure.ts';
import type { Action, Attempts, Event, Goal, Moment, Pause, Situation, Step, Trouble } from './situation.ts';
import { LINE_EVERY_MS, MOST_ASKED, NETWORK_MS, RETRY, retryAtFabric, STABLE_MS } from './timing.ts';
import { consequence } from './verdict.ts';

/**
 * The device's life as a pure function: `step(situation, event, now)` gives the next situation and what to do.
 * No timer, no socket, no clock in here. Time comes in with `Moment`, and so does chance.
 */

const NO_ATTEMPTS: Attempts = { prepare: 0, provision: 0, connect: 0, erase: 0 };

export const STOPPED: Situation = { kind: 'stopped' };

/** The next situation and what to do now. An event that does not fit the situation changes nothing. */
export function step(situation: Situation, event: Event, now: Moment): Step {
  if (event.kind === 'stop') {
    return situation.kind === 'stopped'
      ? { situation, actions: [] }
      : { situation: STOPPED, actions: [logLine('notice', 'stopping'), { kind: 'release' }] };
  }
  if (situation.kind === 'stopped') {
    return event.kind === 'start'
      ? pursue({ kind: 'prepare' }, NO_ATTEMPTS, now, undefined)
      : { situation, actions: [] };
  }
  switch (event.kind) {
    case 'prepared':
      return situation.kind === 'preparing' ? prepared(situation, event, now) : unchanged(situation);
    case 'provisioned':
      return situation.kind === 'provisioning' || isRenewing(situation)
        ? provisioned(situation, event.address, now)
        : unchanged(situation);
    case 'up':
      if (situation.kind === 'online') return arrived(situation, now);
      return situation.kind === 'connecting' ? online(situation, now) : unchanged(situation);
    case 'failed':
      if (isWaiting(situation) || situation.kind === 'decommissioned') return unchanged(situation);
      if (isRenewing(situation)) return withoutTunnel(situation, now);
      return pauseOfDrained(situation, now) ?? failed(situation, event.failure, now);
    case 'drained':
      return situation.kind === 'online' ? drained(situation, event, now) : unchanged(situation);
    case 'undrained':
      return situation.kind === 'online' ? undrained(situation) : unchanged(situation);
    case 'not-moved':
      return situation.kind === 'online' ? notMoved(situation, event.failure, now) : unchanged(situation);
    case 'not-renewed':
      if (situation.kind === 'provisioning') return failed(situation, event.failure, now);
      return isRenewing(situation) ? notRenewed(situation, event.failure) : unchanged(situation);
    case 'verdict':
      if (isRenewing(situation)) return withoutTunnel(situation, now);
      return situation.kind === 'connecting' || situation.kind === 'online'
        ? onVerdict(situation, event, now)
        : unchanged(situation);
    case 'timer':
      if (situation.kind === 'online') return moveIfDrained(situation);
      return isWaiting(situation)
        ? pursue(situation.goal, situation.attempts, now, situation.trouble)
        : unchanged(situation);
    case 'disturbed':
      return disturbed(situation, event.cause, now);
    case 'network':
      return networkChanged(situation, now);
    case 'moved':
      if (isRenewing(situation)) return withoutTunnel(situation, now);
      return situation.kind === 'online' ? moved(situation, now) : unchanged(situation);
    case 'renew':
      return renewed(situation, now);
    case 'enrolled':
      return enrolled(situation, now);
    case 'left':
      return left(situation, event.told, now);
    case 'stays':
      return { situation, actions: [logLine('warning', `${event.failure.code}: ${event.failure.message}`)] };
    case 'erased':
      return situation.kind === 'erasing' ? erased(situation, now) : unchanged(situation);
    case 'start':
      return unchanged(situation);
  }
}

type Alive = Exclude<Situation, { kind: 'stopped' }>;
type Waiting = Extract<Situation, { kind: 'backing-off' | 'blocked' }>;
/** Something is under way that may fail. */
type Busy = Exclude<Alive, Waiting | { kind: 'decommissioned' }>;

const isWaiting = (situation: Alive): situation is Waiting =>
  situation.kind === 'backing-off' || situation.kind === 'blocked';

type Online = Extract<Situation, { kind: 'online' }>;

const isRenewing = (situation: Alive): situation is Online & { renewingSinceMs: number } =>
  situation.kind === 'online' && situation.renewingSinceMs !== undefined;

const unchanged = (situation: Situation): Step => ({ situation, actions: [] });

const logLine = (level: 'warning' | 'notice' | 'info', message: string): Action => ({
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
      return { situation: { kind: 'provisioning', goal, ...common }, actions: [provisionFor(goal)] };
    case 'connect':
      return { situation: { kind: 'connecting', goal, ...common }, actions: [{ kind: 'connect' }] };
    case 'erase':
      return {
        situation: { kind: 'erasing', goal, ...common },
        actions: [{ kind: 'erase', told: goal.told }],
      };
  }
}

/** A fabric that has lost its record of a device gives it the same address again, or is the wrong one. */
function provisionFor({ reason, address }: Goal & { kind: 'provision' }): Action {
  return reason === 'unregistered' && address !== undefined
    ? { kind: 'provision', address }
    : { kind: 'provision' };
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
  if (goal.kind === 'connect') return logLine('info', `identity ${goal.address}: connecting`);
  if (goal.kind === 'erase') return logLine('notice', 'this device is out of service');
  switch (goal.reason) {
    case 'foreign-state':
      return logLine(
        'warning',
        'state.foreign: the state holds a key of another TPM, or of this one before it was cleared; provisioning again',
      );
    case 'interrupted':
      return logLine('notice', `identity ${goal.address}: continuing an interrupted provisioning`);
    default:
      return logLine('notice', 'no identity yet: provisioning');
  }
}

function provisioned(
  situation: Extract<Situation, { kind: 'provisioning' | 'online' }>,
  address: string,
  now: Moment,
): Step {
  const former = situation.goal.address;
  const next = pursue({ kind: 'connect', address }, { ...situation.attempts, connect: 0 }, now, undefined);
  const line =
    former !== undefined && former !== address
      ? logLine('warning', `provisioned: identity ${address}, formerly ${former}`)
      : logLine('notice', `provisioned: identity ${address}`);
  return { ...next, actions: [line, ...next.actions] };
}

function online(situation: Extract<Situation, { kind: 'connecting' }>, now: Moment): Step {
  const { goal, attempts, trouble } = situation;
  const after = trouble ? ` after ${attemptsText(trouble.attempts)}` : '';
  return {
    situation: { kind: 'online', goal, attempts, sinceMs: now.ms },
    actions: [logLine('notice', `online as ${goal.address}${after}`)],
  };
}

/** Pauses that the fabric has asked for. */
const ASKED_FOR: ReadonlySet<string> = new Set(['fabric.retry-after', 'fabric.drained']);

/** A tunnel is probed, a pause cut short: but not one that a person has to end, or that the fabric asked for. */
function disturbed(situation: Alive, cause: string, now: Moment): Step {
  if (situation.kind === 'online') {
    return { situation, actions: [logLine('info', `${cause}: probing the tunnel`), { kind: 'probe' }] };
  }
  if (situation.kind !== 'backing-off' || ASKED_FOR.has(situation.trouble.code)) return unchanged(situation);
  return pursue(situation.goal, situation.attempts, now, situation.trouble);
}

/** Areas of failures that another network may mend. */
const NETWORK_AREAS: ReadonlySet<string> = new Set(['net', 'tls', 'tunnel', 'xtt']);

/**
 * A changed network was not tried yet: no failure of the former one counts. A pause because of the fabric, the TPM or an operator
 * goes on.
 */
function networkChanged(situation: Alive, now: Moment): Step {
  switch (situation.kind) {
    case 'online':
      return { situation, actions: [{ kind: 'probe' }] };
    case 'connecting':
      // The attempt may be waiting for answers over a route that is gone.
      return { situation, actions: [{ kind: 'connect' }] };
    case 'backing-off':
    case 'blocked': {
      if (!NETWORK_AREAS.has(situation.trouble.area)) return unchanged(situation);
      const ms = Math.floor(now.random * NETWORK_MS);
      const attempts: Attempts = { ...situation.attempts, [situation.goal.kind]: 0 };
      if (now.ms + ms >= situation.untilMs) return { situation: { ...situation, attempts }, actions: [] };
      return { situation: { ...situation, attempts, untilMs: now.ms + ms }, actions: [{ kind: 'wait', ms }] };
    }
    default:
      return unchanged(situation);
  }
}

/** A change of the route is no failure, so there is no pause. */
function moved(situation: Extract<Situation, { kind: 'online' }>, now: Moment): Step {
  const next = pursue(situation.goal, attemptsSoFar(situation, now), now, undefined);
  return {
    ...next,
    actions: [logLine('info', 'the route to the router has changed: reconnecting'), ...next.actions],
  };
}

/** Only a device that has an identity, or waits to get one, can be asked for another. A tunnel that is up stays while it is made. */
function renewed(situation: Alive, now: Moment): Step {
  const { goal, attempts } = situation;
  if (situation.kind === 'online') {
    if (isRenewing(situation)) return unchanged(situation);
    const { address } = situation.goal;
    return {
      situation: { ...situation, goal: { ...situation.goal, unfinished: true }, renewingSinceMs: now.ms },
      actions: [logLine('notice', `renewing the identity ${address}`), { kind: 'renew', address }],
    };
  }
  if (goal.kind === 'connect') {
    const next = pursue(
      { kind: 'provision', reason: 'renewal', address: goal.address },
      attempts,
      now,
      undefined,
    );
    return {
      ...next,
      actions: [logLine('notice', `renewing the identity ${goal.address}`), ...next.actions],
    };
  }
  return goal.kind === 'provision' && isWaiting(situation)
    ? pursue(goal, attempts, now, situation.trouble)
    : unchanged(situation);
}

/** The key that there is goes on; the fabric may know the next one already. */
function notRenewed({ renewingSinceMs: _, ...rest }: Online, failure: Failure): Step {
  return {
    situation: rest,
    actions: [logLine('warning', `${failure.code}: ${failure.message}; the identity is not renewed`)],
  };
}

/** The tunnel has ended while the handshake is under way, perhaps because of it: its end decides what comes next. */
function withoutTunnel({ goal, attempts }: Online, now: Moment): Step {
  const renewal: Goal & { kind: 'provision' } = {
    kind: 'provision',
    reason: 'renewal',
    address: goal.address,
  };
  return {
    situation: { kind: 'provisioning', goal: renewal, attempts, sinceMs: now.ms },
    actions: [],
  };
}

/** A device that goes out of service gets nothing else. */
function enrolled(situation: Alive, now: Moment): Step {
  if (situation.goal.kind === 'erase') return unchanged(situation);
  // One that has begun may end without knowing of it: the next one comes soon.
  if (situation.kind === 'preparing')
    return { situation: { ...situation, attempts: NO_ATTEMPTS }, actions: [] };
  const next = pursue({ kind: 'prepare' }, NO_ATTEMPTS, now, undefined);
  return {
    ...next,
    actions: [logLine('notice', 'enrolled: this device has a certificate'), ...next.actions],
  };
}

/** From here on nothing leads back: whatever is under way is given up. Once it is all done, it may be looked at again what could be removed. */
function left(situation: Alive, told: boolean, now: Moment): Step {
  if (situation.kind === 'erasing' || (isWaiting(situation) && situation.goal.kind === 'erase'))
    return unchanged(situation);
  const goal: Goal = situation.goal.kind === 'erase' ? situation.goal : { kind: 'erase', told };
  const why = goal.told ? 'the fabric has retired this device' : 'taken out of service without the fabric';
  const next = pursue(goal, NO_ATTEMPTS, now, undefined);
  return {
    ...next,
    actions: [logLine('notice', `${why}: removing identity, keys and credential`), ...next.actions],
  };
}

function erased({ goal, attempts }: Extract<Situation, { kind: 'erasing' }>, now: Moment): Step {
  return {
    situation: { kind: 'decommissioned', goal, attempts, sinceMs: now.ms },
    actions: [logLine('notice', 'decommissioned: this device does not connect any more')],
  };
}

/** The counters as the next failure finds them: a stable minute online forgets the past. */
function attemptsSoFar(situation: Alive, now: Moment): Attempts {
  const stable = situation.kind === 'online' && now.ms - situation.sinceMs >= STABLE_MS;
  return stable ? NO_ATTEMPTS : situation.attempts;
}

/**
 * Only the remedy and who has caused it decide, and `reprovision` is no remedy here: a failure of the connection (network, TLS, a broken
 * connection, the server's unauthenticated Error) never costs the device its identity. Only `onVerdict` may.
 */
function failed(situation: Busy, failure: Failure, now: Moment): Step {
  const attempts = attemptsSoFar(situation, now);
  const goal = afterFailure(situation.goal, failure);
  const failing = situation.goal.kind;
  return pauseAfter(situation, failure, {
    goal,
    attempts: { ...attempts, [failing]: attempts[failing] + 1 },
    ms: pause(isAtFabric(failing) ? retryAtFabric(now) : RETRY, attempts[failing], now.random),
    blocked: failure.remedy === 'operator' && !isUnproven(failure),
    now,
  });
}

/** Work that the fabric has a part in: what it says about pauses holds for that alone. */
const isAtFabric = (kind: Goal['kind']): boolean => kind === 'connect' || kind === 'provision';

/** The fabric's decision, authenticated by TLS. */
function onVerdict(
  situation: Extract<Situation, { kind: 'connecting' | 'online' }>,
  { verdict, elsewhere = false }: Extract<Event, { kind: 'verdict' }>,
  now: Moment,
): Step {
  const { failure, ...what } = consequence(situation.goal, attemptsSoFar(situation, now), verdict, now);
  if (verdict.kind !== 'retry-after') return pauseAfter(situation, failure, { ...what, now });
  const refusals = 1 + (situation.kind === 'online' ? 0 : (situation.trouble?.refusals ?? 0));
  if (elsewhere && refusals < MOST_ASKED) return askAnother(situation, failure, refusals, now);
  return pauseAfter(situation, failure, { ...what, refusals: MOST_ASKED, now });
}

/**
 * What a router says of its own time holds for no other host: the next one is asked at once, and one more soon. Not all of a long list, and a single one as long
 * as they refuse: perhaps it is because of what they share, and devices that went through all of them each time would be as many times as many.
 */
function askAnother(
  situation: Extract<Situation, { kind: 'connecting' | 'online' }>,
  failure: Failure,
  refusals: number,
  now: Moment,
): Step {
  const attempts = attemptsSoFar(situation, now);
  const { goal } = situation;
  if (refusals > 1) {
    const ms = pause(RETRY, refusals - 2, now.random);
    return pauseAfter(situation, failure, { goal, attempts, ms, blocked: false, refusals, now });
  }
  const { trouble, isNew } = troubleAfter(situation, failure, now, refusals);
  const next = pursue(goal, attempts, now, trouble);
  const line = logLine('notice', `${failure.code}: ${failure.message}; to another host at once`);
  return { ...next, actions: [...(isNew ? [line] : []), ...next.actions] };
}

/** A router that has said when to come back ends the tunnel: there is nowhere else to go. */
function pauseOfDrained(situation: Busy, now: Moment): Step | undefined {
  const what = situation.kind === 'online' ? whenDrained(situation, now.random) : undefined;
  if (what === undefined) return undefined;
  const { goal } = situation;
  const attempts = attemptsSoFar(situation, now);
  return pauseAfter(situation, what.failure, { goal, attempts, ms: what.ms, blocked: false, now });
}

/** What goes wrong, after one more attempt. `isNew`: its cause is, and there is to be a line for it; there is none for every attempt. */
function troubleAfter(
  situation: Busy,
  failure: Failure,
  now: Moment,
  refusals?: number,
): { readonly trouble: Trouble; readonly isNew: boolean } {
  const past = situation.kind === 'online' ? undefined : situation.trouble;
  const isNew = past === undefined || (past.code !== failure.code && now.ms - past.loggedMs >= LINE_EVERY_MS);
  // Whatever fails between two refusals is no host that serves.
  const refused = refusals ?? past?.refusals;
  const trouble = {
    code: failure.code,
    area: failure.area,
    message: failure.message,
    ...(failure.action !== undefined && { action: failure.action }),
    sinceMs: past?.sinceMs ?? now.ms,
    attempts: (past?.attempts ?? 0) + 1,
    loggedMs: isNew ? now.ms : past.loggedMs,
    ...(refused !== undefined && { refusals: refused }),
  };
  return { trouble, isNew };
}

/** Goes into a pause. */
function pauseAfter(
  situation: Busy,
  failure: Failure,
  {
    goal,
    attempts,
    ms,
    blocked,
    refusals,
    now,
  }: Pause & { readonly refusals?: number; readonly now: Moment },
): Step {
  const { trouble, isNew } = troubleAfter(situation, failure, now, refusals);
  const remedy = failure.action === undefined ? '' : ` ${failure.action}`;
  const message = `${failure.code}: ${failure.message}.${remedy} (${attemptsText(trouble.attempts)}, next try in ${duration(ms)})`;
  return {
    situation: {
      kind: blocked ? 'blocked' : 'backing-off',
      goal,
      attempts,
      trouble,
      untilMs: now.ms + ms,
      sinceMs: now.ms,
    },
    actions: [...(isNew ? [logLine('warning', message)] : []), { kind: 'wait', ms }],
  };
}

const attemptsText = (attempts: number): string => counted(attempts, 'failed attempt');
