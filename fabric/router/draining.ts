import type { Log } from '../../os/service/log.ts';
import { type DrainMessage, encodeDrain, MOST_DRAIN_SECONDS } from '../../protocol/tunnel/drain.ts';
import { counted } from '../../protocol/words.ts';
import type { RouterThreads } from '../../tunnel/router.ts';
import { ownTurn } from '../registry/turns.ts';
import type { Session } from './session.ts';

/** How a router leaves service: seconds. */
export interface Drain {
  /** Devices that have another host are gone within this time. */
  readonly within: number;
  /** Those that have none come back so long after the router has ended their tunnels, at the earliest. */
  readonly retryAfter: number;
}

/** Tells devices that the router leaves service, or that it does not any more (docs/wire.md, "Drain"). */
export interface Draining {
  /** A device was admitted. */
  admitted(session: Session): void;
  /** From now on devices are sent away: those that are connected, some in each turn, and those that come. */
  begin(drain: Drain, sessions: Iterable<Session>, agents: number): Promise<void>;
  /** Those that are still there stay. */
  end(sessions: Iterable<Session>): Promise<void>;
  /** Since when, in milliseconds since 1970; undefined: it is not. */
  readonly now: (Drain & { readonly sinceMs: number }) | undefined;
}

/** What a fabric takes that is set for nothing else. */
const CONNECTS_PER_SECOND = 300;
/** As for the pace of devices. */
const SPARE = 1.5;
const TOLD_AT_ONCE = 100;

/** How long the return of so many devices is spread, so that no more come at once than the fabric takes. */
export const returnSpread = (devices: number, connectsPerSecond = CONNECTS_PER_SECOND): number =>
  Math.min(MOST_DRAIN_SECONDS, Math.ceil((SPARE * devices) / connectsPerSecond));

export function drainingOf(
  threads: Pick<RouterThreads, 'send'>,
  connectsPerSecond: number | undefined,
  log: Log,
): Draining {
  let now: Draining['now'];
  let message: DrainMessage | undefined;
  const tell = ({ peer, understandsVerdicts }: Session, what: DrainMessage): void => {
    if (understandsVerdicts) threads.send(peer, encodeDrain(what));
  };
  /** Unless something else is said meanwhile. */
  const tellAll = async (what: DrainMessage, sessions: Iterable<Session>): Promise<void> => {
    const said = message;
    let told = 0;
    for (const session of sessions) {
      if (++told % TOLD_AT_ONCE === 0) await ownTurn();
      if (message !== said) return;
      tell(session, what);
    }
  };
  return {
    admitted(session) {
      if (message !== undefined) tell(session, message);
    },
    async begin(drain, sessions, agents) {
      const { within, retryAfter: after } = drain;
      now = { ...drain, sinceMs: now?.sinceMs ?? Date.now() };
      message = { kind: 'leave', within, after, spread: returnSpread(agents, connectsPerSecond) };
      log('notice', `draining: ${counted(agents, 'agent')} told to leave within ${within} s`);
      await tellAll(message, sessions);
    },
    async end(sessions) {
      if (now === undefined) return;
      now = undefined;
      message = undefined;
      log('notice', 'draining has ended: devices stay');
      await tellAll({ kind: 'stay' }, sessions);
    },
    get now() {
      return now;
    },
  };
}
