import type { Log } from '../../os/service/log.ts';
import { Failure } from '../../protocol/failure.ts';
import { STOPPED, step } from '../lifecycle/lifecycle.ts';
import type { Action, Event, Situation } from '../lifecycle/situation.ts';
import type { DepartureEnd, HandshakeEnd, Peer } from '../status/facts.ts';
import type { ConnectionEvent, Effects } from './effects.ts';

/** What the driver needs: effects, a monotonic clock in milliseconds, random numbers in [0, 1), a log. */
export interface Dependencies {
  readonly effects: Effects;
  readonly clock: () => number;
  readonly chance: () => number;
  readonly log: Log;
  /** Called after each change of the situation. */
  readonly onChange?: (situation: Situation) => void;
}

export interface Driver {
  situation(): Situation;
  /** The other end, while the tunnel is up. */
  peer(): Peer | undefined;
  /** Something happened that may have broken the tunnel, or restored the network; `cause` is for the log. */
  disturb(cause: string): void;
  /** The route out has changed, or there is one where there was none. */
  networkChanged(): void;
  /** Runs the handshake again, beside the tunnel if there is one. False if there is no identity to renew, or it is being provisioned already. */
  renew(): boolean;
  /** The device has got another identity: it is used at once. */
  enrolled(): void;
  /** How the next handshake ends, whether it is under way or still to begin; undefined if the agent stops before. */
  handshakeEnd(): Promise<HandshakeEnd | undefined>;
  /** Takes the device out of service. Unless `offline`, the fabric is asked to retire it: false if there is no tunnel to ask it. */
  decommission(offline: boolean): boolean;
  /** How that ends, whether it is under way or still to begin; undefined if the agent stops before. */
  departureEnd(): Promise<DepartureEnd | undefined>;
  /** Closes everything; resolves when it is done. */
  stop(): Promise<void>;
}

/** Starts the loop: events go into the reducer, its actions are carried out, and their results are the next events. */
export function startDriver(dependencies: Dependencies): Driver {
  const { effects, clock, chance, log } = dependencies;
  let situation: Situation = STOPPED;
  let timer: ReturnType<typeof setTimeout> | undefined;
  let peer: Peer | undefined;
  let released: Promise<void> = Promise.resolve();

  const handshake = expectation<HandshakeEnd>();
  const leave = expectation<DepartureEnd>();
  /** Tells those who wait for an end that this event is. */
  const endWaiting = (event: Event): void => {
    const stops = event.kind === 'stop';
    if (stops || handshakeEnds(situation, event)) handshake.end(handshakeEndOf(event));
    const ends = event.kind === 'stays' || (situation.kind === 'erasing' && event.kind === 'failed');
    if (stops || ends) leave.end(failureOf(event));
    if (situation.kind === 'erasing' && event.kind === 'erased')
      leave.end({ told: situation.goal.told, credential: event.credential });
  };

  const dispatch = (event: Event): void => {
    if (event.kind === 'failed' || event.kind === 'not-renewed') effects.note(event.failure);
    endWaiting(event);
    const moment = { ms: clock(), random: chance(), longestMs: effects.longestMs?.() };
    const next = step(situation, event, moment);
    const changed = next.situation !== situation;
    situation = next.situation;
    if (changed) dependencies.onChange?.(situation);
    for (const action of next.actions) perform(action);
  };

  const attempt = (work: () => Promise<Event | undefined>): void => {
    work().then(
      (event) => event && dispatch(event),
      (error: unknown) => {
        // After the stop, what was under way may still fail.
        if (situation.kind !== 'stopped') dispatch({ kind: 'failed', failure: asFailure(error, log) });
      },
    );
  };

  const perform = (action: Action): void => {
    switch (action.kind) {
      case 'log':
        log(action.level, action.message);
        break;
      case 'wait':
        clearTimeout(timer);
        timer = setTimeout(() => dispatch({ kind: 'timer' }), action.ms);
        break;
      case 'prepare':
        clearTimeout(timer);
        attempt(async () => ({ kind: 'prepared', goal: await effects.prepare() }));
        break;
      case 'provision':
        clearTimeout(timer);
        attempt(async () => ({ kind: 'provisioned', address: await effects.provision(action.address) }));
        break;
      case 'connect':
        clearTimeout(timer);
        attempt(async () => {
          await effects.connect(onTunnelEvent);
          return undefined;
        });
        break;
      case 'renew':
        renewBeside(action.address);
        break;
      case 'move':
        effects.move?.().catch((error: unknown) => {
          if (situation.kind !== 'stopped') dispatch({ kind: 'not-moved', failure: asFailure(error, log) });
        });
        break;
      case 'erase':
        clearTimeout(timer);
        attempt(async () => ({ kind: 'erased', credential: await effects.erase(action.told) }));
        break;
      case 'probe':
        if (effects.probe() === 'moved') {
          peer = undefined;
          dispatch({ kind: 'moved' });
        }
        break;
      case 'release':
        clearTimeout(timer);
        released = effects.release();
    }
  };

  const renewBeside = (own: string): void => {
    effects.renew(own).then(
      (address) => dispatch({ kind: 'provisioned', address }),
      (error: unknown) => {
        if (situation.kind !== 'stopped') dispatch({ kind: 'not-renewed', failure: asFailure(error, log) });
      },
    );
  };

  const onTunnelEvent = (event: ConnectionEvent): void => {
    if (ENDS.has(event.kind)) peer = undefined;
    if (event.kind === 'up') peer = event;
    if (event.kind === 'up') dispatch({ kind: 'up' });
    else dispatch(event.kind === 'down' ? { kind: 'failed', failure: event.failure } : event);
  };

  dispatch({ kind: 'start' });
  return {
    situation: () => situation,
    peer: () => peer,
    disturb: (cause) => dispatch({ kind: 'disturbed', cause }),
    networkChanged: () => dispatch({ kind: 'network' }),
    renew() {
      const before = situation;
      dispatch({ kind: 'renew' });
      if (situation === before) return false;
      if (situation.kind !== 'online') peer = undefined;
      return true;
    },
    enrolled() {
      peer = undefined;
      dispatch({ kind: 'enrolled' });
    },
    handshakeEnd: handshake.wait,
    decommission(offline) {
      const before = situation;
      if (offline) {
        dispatch({ kind: 'left', told: false });
        return situation !== before;
      }
      if (situation.kind !== 'online') return false;
      effects.leave().catch((error: unknown) => {
        if (situation.kind !== 'stopped') dispatch({ kind: 'stays', failure: asFailure(error, log) });
      });
      return true;
    },
    departureEnd: leave.wait,
    async stop() {
      dispatch({ kind: 'stop' });
      await released;
    },
  };
}

/** What ends a connection. */
const ENDS: ReadonlySet<ConnectionEvent['kind']> = new Set(['down', 'verdict', 'left']);

/** An end for which any number of callers wait. */
interface Expectation<End> {
  wait(): Promise<End | undefined>;
  end(how: End | undefined): void;
}

function expectation<End>(): Expectation<End> {
  let promise: Promise<End | undefined> | undefined;
  let resolve: (how: End | undefined) => void = () => {};
  return {
    wait() {
      promise ??= new Promise((settle) => {
        resolve = settle;
      });
      return promise;
    },
    end(how) {
      promise = undefined;
      resolve(how);
    },
  };
}

/** Whether it is a handshake that the event ends, and not the tunnel beside it. */
function handshakeEnds(situation: Situation, { kind }: Event): boolean {
  if (kind === 'provisioned' || kind === 'not-renewed')
    return situation.kind === 'provisioning' || situation.kind === 'online';
  return kind === 'failed' && situation.kind === 'provisioning';
}

const handshakeEndOf = (event: Event): HandshakeEnd | undefined =>
  event.kind === 'provisioned' ? { address: event.address } : failureOf(event);

function failureOf(event: Event): Extract<HandshakeEnd, { failure: unknown }> | undefined {
  if (!('failure' in event)) return undefined;
  const { code, message, action } = event.failure;
  return { failure: { code, message, ...(action !== undefined && { action }) } };
}

/** A mistake in the program does not end it: it is logged with its stack, and what failed is tried again. */
function asFailure(error: unknown, log: Log): Failure {
  if (error instanceof Failure) return error;
  log('error', `internal error: ${(error as Error)?.stack ?? String(error)}`);
  const message = `internal error: ${(error as Error)?.message ?? String(error)}`;
  return new Failure('agent.internal-error', 'retry', message, {
    action: 'Report this with the log around it.',
    cause: error,
  });
}
