import type { Listener } from './admission.ts';
import type { Change } from './records.ts';
import { ownTurn } from './turns.ts';

/** Passes changes to subscribers in order, from a cursor that it keeps. */
export interface ChangeFeed {
  subscribe(listener: Listener<Change>): () => void;
  /** Passes on what was found otherwise. */
  pass(change: Change): void;
  /**
   * Reads the changes since the last call and passes them on, at once unless they are very many; resolves when everything that
   * subscribers have begun, by now or before, is done.
   */
  catchUp(): Promise<void>;
  /** What was seen may not be what there is now, as of another server: the next time everything is passed on. */
  renew(): void;
  /** The sequence number of the newest change that was passed on. */
  readonly seen: number;
}

/** A change with its sequence number. */
export interface NumberedChange {
  readonly seq: number;
  readonly change: Change;
}

/** Changes read at once. */
export const CHANGES_AT_ONCE = 500;

/** What a feed reads. */
export interface ChangeSource {
  /** The oldest changes after a sequence number, fewer than `CHANGES_AT_ONCE` only if there are no more. */
  since(seq: number): readonly NumberedChange[];
  /** Changes that stand for all that there is, and the newest one's sequence number. */
  everything(): { readonly seq: number; readonly changes: readonly Change[] };
}

/** `seen` is the newest change at the start. What a listener throws goes to `onError`, and the other listeners are called all the same. */
export function changeFeed(
  seen: number,
  { since, everything }: ChangeSource,
  onError: (error: unknown) => void,
): ChangeFeed {
  const listeners = new Set<Listener<Change>>();
  const underway = new Set<Promise<void>>();
  let last = seen;
  let isStale = false;

  function passEverything(): void {
    const { seq, changes } = everything();
    isStale = false;
    last = seq;
    for (const change of changes) pass(change);
  }

  async function tell(listener: Listener<Change>, change: Change): Promise<void> {
    try {
      await listener(change);
    } catch (error) {
      onError(error);
    }
  }

  function pass(change: Change): void {
    for (const listener of listeners) {
      const told = tell(listener, change).finally(() => underway.delete(told));
      underway.add(told);
    }
  }

  return {
    subscribe(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    pass,
    renew() {
      isStale = true;
    },
    async catchUp() {
      if (isStale) passEverything();
      for (;;) {
        const changes = since(last);
        for (const { seq, change } of changes) {
          last = seq;
          pass(change);
        }
        if (changes.length < CHANGES_AT_ONCE) break;
        await ownTurn();
      }
      await Promise.all(underway);
    },
    get seen() {
      return last;
    },
  };
}
