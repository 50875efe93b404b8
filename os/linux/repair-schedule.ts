import type { Log } from '../../os/service/log.ts';

/** Changes come in bursts; this long after the first one a repair starts, */
export const SETTLE_MS = 150;
/** and at most so often, however many changes another program makes. */
export const LEAST_INTERVAL_MS = 1_000;
/** What could not be repaired is tried again, at pauses that double up to this one. */
export const LONGEST_PAUSE_MS = 60_000;

/** If another program undoes our repairs again and again, a line is logged so often. */
const LINE_EVERY_MS = 360_000;

/** Resolves when a burst that began now is over. */
export const settling = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, SETTLE_MS));

/** When to repair: soon after a change, not too often, and again after a failure. */
export interface RepairSchedule {
  /** Something has changed. */
  request(): void;
  /** What there is is being compared with what should be; the next repair keeps its distance from now. */
  started(): void;
  close(): void;
}

/** `onFailure` is called with each failure of `repair`; `first` if the attempt before has succeeded. */
export function repairSchedule(
  repair: () => Promise<void>,
  onFailure: (error: unknown, first: boolean) => void,
): RepairSchedule {
  let timer: ReturnType<typeof setTimeout> | undefined;
  let startedMs = Number.NEGATIVE_INFINITY;
  let failures = 0;
  let closed = false;

  const plan = (delayMs: number): void => {
    if (closed || timer !== undefined) return;
    timer = setTimeout(run, Math.max(delayMs, startedMs + LEAST_INTERVAL_MS - performance.now()));
  };
  const run = (): void => {
    timer = undefined;
    repair().then(
      () => {
        failures = 0;
      },
      (error: unknown) => {
        onFailure(error, failures === 0);
        failures++;
        plan(Math.min(LONGEST_PAUSE_MS, LEAST_INTERVAL_MS * 2 ** (failures - 1)));
      },
    );
  };
  return {
    request: () => plan(SETTLE_MS),
    started() {
      startedMs = performance.now();
    },
    close() {
      closed = true;
      clearTimeout(timer);
    },
  };
}

/** Runs one piece of work after the other: what one has observed must not be what another is changing. */
export function turns(): (work: () => Promise<void>) => Promise<void> {
  let queue: Promise<void> = Promise.resolve();
  return (work) => {
    const mine = queue.then(work);
    queue = mine.catch(() => {});
    return mine;
  };
}

/** Logs what was repaired, now and then. */
export function repairLog(log: Log): (repaired: readonly string[]) => void {
  let loggedMs = Number.NEGATIVE_INFINITY;
  return (repaired) => {
    const now = performance.now();
    if (repaired.length === 0 || now - loggedMs < LINE_EVERY_MS) return;
    loggedMs = now;
    log('notice', `restored or updated: ${repaired.join('; ')}`);
  };
}
