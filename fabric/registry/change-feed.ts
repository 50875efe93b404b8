import type { Change } from './records.ts';

/** Passes changes to subscribers in order, from a cursor that it keeps; after a failed read those of one row may come twice. */
export interface ChangeFeed {
  subscribe(listener: (change: Change) => void): () => void;
  /** Reads the changes since the last call and passes them on. */
  catchUp(): void;
}

/** A change with its sequence number. */
export interface NumberedChange {
  readonly seq: number;
  readonly change: Change;
}

/**
 * `since` reads the changes after a sequence number, oldest first; `seen` is the newest one at the start. What a
 * listener throws goes to `onError`, and the other listeners are called all the same.
 */
export function changeFeed(
  seen: number,
  since: (seq: number) => Iterable<NumberedChange>,
  onError: (error: unknown) => void,
): ChangeFeed {
  const listeners = new Set<(change: Change) => void>();
  let last = seen;

  function pass(change: Change): void {
    for (const listener of listeners) {
      try {
        listener(change);
      } catch (error) {
        onError(error);
      }
    }
  }

  return {
    subscribe(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    catchUp() {
      let current = last;
      for (const { seq, change } of since(last)) {
        // One row can stand for many changes: it is done when the next one begins, or nothing more comes.
        if (seq !== current) last = current;
        current = seq;
        pass(change);
      }
      last = current;
    },
  };
}
