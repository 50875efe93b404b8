/** What ends at a time of day. */
export interface Expiries<Thing> {
  /** `at`: milliseconds since 1970. */
  add(thing: Thing, at: number): void;
  delete(thing: Thing): void;
  close(): void;
}

/** A timer is set again after so long, so that it follows a clock that was set, and none is longer than Node's may be. */
const LONGEST_MS = 3_600_000;

/** Calls `expired` with each thing at its time, unless it was deleted. */
export function expiries<Thing>(
  expired: (thing: Thing) => void,
  now: () => number = Date.now,
): Expiries<Thing> {
  const timers = new Map<Thing, NodeJS.Timeout>();

  function remove(thing: Thing): void {
    clearTimeout(timers.get(thing));
    timers.delete(thing);
  }

  function arm(thing: Thing, at: number): void {
    const left = at - now();
    const timer = setTimeout(
      () => {
        if (now() < at) arm(thing, at);
        else {
          timers.delete(thing);
          expired(thing);
        }
      },
      Math.max(0, Math.min(left, LONGEST_MS)),
    );
    timer.unref();
    timers.set(thing, timer);
  }

  return {
    add(thing, at) {
      remove(thing);
      arm(thing, at);
    },
    delete: remove,
    close() {
      for (const timer of timers.values()) clearTimeout(timer);
      timers.clear();
    },
  };
}
