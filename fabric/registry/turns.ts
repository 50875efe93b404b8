/**
 * Work that is longer than a few milliseconds is done in parts, each in a turn of the event loop that no other such work has:
 * however much is asked for at once, a handshake waits for one part of it.
 */
const waiting: (() => void)[] = [];

/** Resolves in a turn that the caller has alone. */
export function ownTurn(): Promise<void> {
  return new Promise((resolve) => {
    if (waiting.push(resolve) === 1) setImmediate(grant);
  });
}

function grant(): void {
  waiting.shift()?.();
  if (waiting.length > 0) setImmediate(grant);
}
