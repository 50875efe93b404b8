/** Points in the order of commands that all threads have to come to. */
export interface Barriers {
  /** `send` tells all threads of the barrier. True when they have come to it, or have ended; false after `withinMs`. */
  begin(withinMs: number, send: (number: number) => void): Promise<boolean>;
  /** One thread has come to it. */
  reach(number: number): void;
  /** All threads have ended. */
  close(): void;
}

interface Barrier {
  missing: number;
  end(all: boolean): void;
}

export function openBarriers(threads: number): Barriers {
  const open = new Map<number, Barrier>();
  let last = 0;
  let closed = false;
  return {
    async begin(withinMs, send) {
      if (closed) return true;
      last = (last + 1) >>> 0;
      const number = last;
      // The threads' answers come in a later turn of the event loop.
      send(number);
      return new Promise((resolve) => {
        const end = (all: boolean): void => {
          clearTimeout(timer);
          open.delete(number);
          resolve(all);
        };
        const timer = setTimeout(end, withinMs, false);
        open.set(number, { missing: threads, end });
      });
    },
    reach(number) {
      const barrier = open.get(number);
      if (barrier !== undefined && --barrier.missing === 0) barrier.end(true);
    },
    close() {
      closed = true;
      for (const barrier of [...open.values()]) barrier.end(true);
    },
  };
}
