import type { Log } from '../../os/service/log.ts';
import { encodePace, MOST_PACE } from '../../protocol/tunnel/pace.ts';
import type { RouterThreads } from '../../tunnel/router.ts';
import { ownTurn } from '../registry/turns.ts';
import type { Session } from './session.ts';

/** What the pace of devices follows from. */
export interface PaceSource {
  /** How many connections of devices the fabric takes in a second, with all its routers. */
  readonly connectsPerSecond: number;
  /** How many devices are registered. */
  readonly devices: () => Promise<number>;
}

/** Tells devices how long they wait at most before they try again (docs/wire.md, "Pace"). */
export interface Pace {
  /** A device was admitted. */
  admitted(session: Session): void;
  /** Counts the devices. If that changes the pace, those that are connected are told, some in each turn. */
  look(sessions: () => Iterable<Session>): Promise<void>;
  /** Looks every minute from now on, and at once. */
  begin(sessions: () => Iterable<Session>): void;
  /** In seconds; undefined: nobody is told any. */
  readonly seconds: number | undefined;
  close(): void;
}

/** In seconds: so few that a fleet that grows is told rarely. */
const STEPS = [30, 45, 60, 90, 120, 180, 240, MOST_PACE];
/** Attempts come by chance, and devices are not alone: the fabric takes half as many again as are expected. */
const SPARE = 1.5;
const LOOK_MS = 60_000;
const TOLD_AT_ONCE = 100;

/**
 * How long devices may wait at most, in seconds, so that they come back soon, and not more at once than the fabric takes. When it has been away for a while, each device
 * waits a time that is uniform between zero and this, over and over: all together make 2 · devices / pause attempts in a second, and no more than that arrive
 * in any second when it is back.
 */
export function longestPause(devices: number, connectsPerSecond: number): number {
  const needed = (SPARE * 2 * devices) / connectsPerSecond;
  return STEPS.find((step) => step >= needed) ?? MOST_PACE;
}

export function paceOf(threads: Pick<RouterThreads, 'send'>, source: PaceSource | undefined, log: Log): Pace {
  let seconds: number | undefined;
  let timer: ReturnType<typeof setInterval> | undefined;
  let looking = false;
  const tell = ({ peer, understandsVerdicts }: Session): void => {
    if (understandsVerdicts && seconds !== undefined) threads.send(peer, encodePace(seconds));
  };
  const look = async (sessions: () => Iterable<Session>): Promise<void> => {
    if (source === undefined) return;
    const devices = await source.devices();
    const next = longestPause(devices, source.connectsPerSecond);
    if (next === seconds) return;
    // The pace that it begins with is no news.
    if (seconds !== undefined)
      log('info', `${devices} devices: each waits ${next} s at most before it tries again`);
    seconds = next;
    let told = 0;
    for (const session of sessions()) {
      if (++told % TOLD_AT_ONCE === 0) await ownTurn();
      tell(session);
    }
  };
  const lookAlone = async (sessions: () => Iterable<Session>): Promise<void> => {
    if (looking) return;
    looking = true;
    // A registry that is out of order says so elsewhere; what was told holds.
    await look(sessions).catch(() => {});
    looking = false;
  };
  return {
    admitted: tell,
    look,
    begin(sessions) {
      void lookAlone(sessions);
      timer = setInterval(() => void lookAlone(sessions), LOOK_MS);
      timer.unref();
    },
    get seconds() {
      return seconds;
    },
    close: () => clearInterval(timer),
  };
}
