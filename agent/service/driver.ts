import type { Log } from '../../os/service/log.ts';
import { Failure } from '../../protocol/failure.ts';
import { STOPPED, step } from '../lifecycle/lifecycle.ts';
import type { Action, Event, Situation } from '../lifecycle/situation.ts';
import type { HandshakeEnd, Peer } from '../status/facts.ts';
import type { TunnelEvent } from '../tunnel/session.ts';
import type { Effects } from './effects.ts';

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
  /** Runs the handshake again. False if there is no identity to renew, or it is being provisioned already. */
  renew(): boolean;
  /** How the next handshake ends, whether it is under way or still to begin; undefined if the agent stops before. */
  handshakeEnd(): Promise<HandshakeEnd | undefined>;
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

  let awaited: Expected | undefined;
  const endHandshake = (event: Event): void => {
    awaited?.resolve(endOf(event));
    awaited = undefined;
  };

  const dispatch = (event: Event): void => {
    if (event.kind === 'failed') effects.note(event.failure);
    if (event.kind === 'stop' || (situation.kind === 'provisioning' && endOf(event) !== undefined))
      endHandshake(event);
    const next = step(situation, event, { ms: clock(), random: chance() });
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

  const onTunnelEvent = (event: TunnelEvent): void => {
    peer = event.kind === 'up' ? event : undefined;
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
      peer = undefined;
      return true;
    },
    handshakeEnd() {
      awaited ??= expectation();
      return awaited.promise;
    },
    async stop() {
      dispatch({ kind: 'stop' });
      await released;
    },
  };
}

interface Expected {
  readonly promise: Promise<HandshakeEnd | undefined>;
  resolve(end: HandshakeEnd | undefined): void;
}

function expectation(): Expected {
  let resolve: Expected['resolve'] = () => {};
  const promise = new Promise<HandshakeEnd | undefined>((settle) => {
    resolve = settle;
  });
  return { promise, resolve };
}

function endOf(event: Event): HandshakeEnd | undefined {
  if (event.kind === 'provisioned') return { address: event.address };
  if (event.kind !== 'failed') return undefined;
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
