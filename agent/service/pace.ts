import type { Log } from '../../os/service/log.ts';
import { isFailure } from '../../protocol/failure.ts';
import { parsePace } from '../../protocol/tunnel/pace.ts';
import { keptPace, withPace } from '../state/pace.ts';
import type { Store } from '../state/state.ts';

/** How long the fabric lets this device wait at most between two attempts (docs/wire.md, "Pace"). */
export interface PaceKeeper {
  /** Undefined: it has not said. */
  longestMs(): number | undefined;
  /** Takes a control message; undefined if it is about something else. Never rejects with a Failure. */
  receive(packet: Uint8Array): Promise<void> | undefined;
}

export interface PaceParts {
  readonly store: () => Promise<Store>;
  /** Undefined until it is open. */
  readonly opened: () => Store | undefined;
  readonly log: Log;
  /** Receives each failure. */
  readonly note: (failure: unknown) => void;
}

export function paceKeeper({ store, opened, log, note }: PaceParts): PaceKeeper {
  /** Seconds, since the start. */
  let told: number | undefined;
  const keep = async (seconds: number): Promise<void> => {
    // It holds also if the disk is full.
    told = seconds;
    const state = await store();
    if (keptPace(state.record) === seconds) return;
    log('info', `the fabric lets this device wait ${seconds} s at most between two attempts`);
    await state.update((record) => withPace(record, seconds));
  };
  return {
    longestMs() {
      const seconds = told ?? keptPace(opened()?.record ?? {});
      return seconds === undefined ? undefined : seconds * 1_000;
    },
    receive(packet) {
      const seconds = parsePace(packet);
      if (seconds === undefined) return undefined;
      if (seconds === 'ignored') return Promise.resolve();
      return keep(seconds).catch((error: unknown) => {
        if (!isFailure(error)) throw error;
        note(error);
        log('warning', `${error.code}: ${error.message}; the longest pause is not kept for the next start`);
      });
    },
  };
}
