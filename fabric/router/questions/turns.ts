/** For how long events are handled in one turn of the event loop, in milliseconds. */
const TURN_MS = 100;

/** Handles events in order. */
export interface InTurns<Event> {
  /** Undefined if that was done at once; else it resolves when it is done, with what has been begun by it. */
  take(event: Event): Promise<void> | undefined;
  /** Handles at once those that wait. */
  finish(): void;
}

/**
 * Up to a thousand events come in one turn of the event loop, of the router's threads or as changes of the registry. With each that asks the registry
 * everything else waits until that has answered, the timer of the watchdog, too. So a turn handles some of them, and the next ones the others. None waits for
 * what `handle` has begun for those before it.
 */
export function inTurns<Event>(handle: (event: Event) => Promise<void> | undefined): InTurns<Event> {
  let waiting: { readonly event: Event; readonly handled: (begun: Promise<void> | undefined) => void }[] = [];
  /** When the turn has handled enough; undefined: it has handled nothing yet. */
  let until: number | undefined;

  function hasTime(): boolean {
    const now = performance.now();
    if (until === undefined) {
      until = now + TURN_MS;
      setImmediate(next);
    }
    return now < until;
  }

  function next(): void {
    until = undefined;
    let count = 0;
    while (count < waiting.length && hasTime()) handleOne(waiting[count++]!);
    waiting = waiting.slice(count);
  }

  function handleOne({ event, handled }: (typeof waiting)[number]): void {
    handled(handle(event));
  }

  return {
    take(event) {
      if (waiting.length > 0 || !hasTime()) return new Promise((handled) => waiting.push({ event, handled }));
      return handle(event);
    },
    finish() {
      for (const each of waiting.splice(0)) handleOne(each);
    },
  };
}
