import type { Log } from '../../os/service/log.ts';
import { Failure } from '../../protocol/failure.ts';
import { STOPPED, step } from '../lifecycle/lifecycle.ts';
import type { Action, Event, Situation } from '../lifecycle/situation.ts';
import type { Peer } from '../status/facts.ts';
import type { TunnelEvent } from '../tunnel/tunnel.ts';
import type { Effects } from './effects.ts';

/** What runs the lifecycle: the world, a monotonic clock in milliseconds, chance in [0, 1), a log. */
export interface Surroundings {
  readonly effects: Effects;
  readonly clock: () => number;
  readonly chance: () => number;
  readonly log: Log;
  /** Called after each change of the situation. */
  readonly onChange?: (situation: Situation) => void;
}

export interface Device {
  situation(): Situation;
  /** The other end, while the tunnel is up. */
  peer(): Peer | undefined;
  /** Something happened that may have cut the tunnel, or mended the network; `cause` for the log. */
  disturb(cause: string): void;
  /** The way out has changed, or there is one where there was none. */
  networkChanged(): void;
  /** Runs the handshake again. False where there is no identity to renew, or it is being got anyhow. */
  renew(): boolean;
  /** Closes everything; resolves when it is done. */
  stop(): Promise<void>;
}

/** Starts the loop: events go into the reducer, its actions are carried out, and what comes of them is the next event. */
export function startDevice(around: Surroundings): Device {
  const { effects, clock, chance, log } = around;
  let situation: Situation = STOPPED;
  let timer: ReturnType<typeof setTimeout> | undefined;
  let peer: Peer | undefined;
  let released: Promise<void> = Promise.resolve();

  const post = (event: Event): void => {
    if (event.kind === 'failed') effects.note(event.failure);
    const next = step(situation, event, { ms: clock(), random: chance() });
    const changed = next.situation !== situation;
    situation = next.situation;
    if (changed) around.onChange?.(situation);
    for (const action of next.actions) act(action);
  };

  const attempt = (work: () => Promise<Event | undefined>): void => {
    work().then(
      (event) => event && post(event),
      (error: unknown) => {
        // What was under way when everything was closed may end anyhow.
        if (situation.kind !== 'stopped') post({ kind: 'failed', failure: asFailure(error) });
      },
    );
  };

  const act = (action: Action): void => {
    switch (action.kind) {
      case 'log':
        log(action.level, action.message);
        break;
      case 'wait':
        clearTimeout(timer);
        timer = setTimeout(() => post({ kind: 'timer' }), action.ms);
        break;
      case 'prepare':
        clearTimeout(timer);
        attempt(async () => ({ kind: 'prepared', goal: await effects.prepare() }));
        break;
      case 'provision':
        clearTimeout(timer);
        attempt(async () => ({ kind: 'provisioned', address: await effects.provision() }));
        break;
      case 'connect':
        clearTimeout(timer);
        attempt(async () => {
          await effects.connect(hear);
          return undefined;
        });
        break;
      case 'probe':
        if (effects.probe() === 'moved') {
          peer = undefined;
          post({ kind: 'moved' });
        }
        break;
      case 'release':
        clearTimeout(timer);
        released = effects.release();
    }
  };

  const hear = (event: TunnelEvent): void => {
    peer = event.kind === 'up' ? event : undefined;
    if (event.kind === 'up') post({ kind: 'up' });
    else post(event.kind === 'down' ? { kind: 'failed', failure: event.failure } : event);
  };

  /** A mistake in the program must not end it: it is logged with its place and tried again. */
  const asFailure = (error: unknown): Failure => {
    if (error instanceof Failure) return error;
    log('error', `internal error: ${(error as Error)?.stack ?? String(error)}`);
    return new Failure(
      'agent.internal-error',
      'retry',
      `internal error: ${(error as Error)?.message ?? String(error)}`,
      {
        action: 'Report this with the log around it.',
        cause: error,
      },
    );
  };

  post({ kind: 'start' });
  return {
    situation: () => situation,
    peer: () => peer,
    disturb: (cause) => post({ kind: 'disturbed', cause }),
    networkChanged: () => post({ kind: 'network' }),
    renew() {
      const before = situation;
      post({ kind: 'renew' });
      if (situation === before) return false;
      peer = undefined;
      return true;
    },
    async stop() {
      post({ kind: 'stop' });
      await released;
    },
  };
}
