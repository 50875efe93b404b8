import type { ChangeFeed } from '../change-feed.ts';
import type { CommitQueue } from './base/commit-queue.ts';
import type { Database } from './base/statements.ts';
import { endOpenTunnels } from './inventory/devices.ts';
import { removeChanges } from './trail/changes.ts';

/** How many times in a row the process that serves looks for changes before it removes those that it has read. */
const LOOKS_PER_REMOVAL = 4;

export interface Following {
  readonly db: Database;
  readonly queue: CommitQueue;
  readonly feed: ChangeFeed;
  readonly now: () => number;
  /** True while a tunnel of the device ends at this process's router. */
  readonly isConnected: (address: Uint8Array) => boolean;
  /** Ends those of tunnels that are recorded here and are not here; see `TunnelPart`. */
  readonly endLeft: (after: number) => Promise<number | undefined>;
  /** Nodes have names: there may be others. */
  readonly several: boolean;
  /** It serves tunnels. */
  readonly carries: boolean;
  /** Looks for changes of other processes. */
  readonly look: () => void;
  readonly onError: (error: unknown) => void;
}

/**
 * What a process that serves does beside what it is asked: if tunnels end there, ends those that a crash has left recorded as up, looks for
 * changes, and removes those that were read. Everything is done in parts. The first tunnels have ended when it resolves.
 */
export async function follow(
  { db, queue, feed, now, isConnected, endLeft, several, carries, look, onError }: Following,
  periodMs: number,
): Promise<() => void> {
  let following = true;
  let removed = 0;
  let looks = 0;
  const at = now();

  /** Those of before nodes had names. */
  const endUnattached = (after: number): Promise<number | undefined> =>
    queue.submit(() => endOpenTunnels(db, at, after, isConnected, true));

  async function endOthers(last: number | undefined, end: typeof endLeft): Promise<void> {
    for (let after = last; after !== undefined && following; ) after = await end(after);
  }

  async function removeRead(): Promise<void> {
    const { seen } = feed;
    if (seen === removed) return;
    while (following && (await queue.submit(() => removeChanges(db, seen, several))));
    removed = seen;
  }

  const timer = setInterval(() => {
    look();
    if (looks++ % LOOKS_PER_REMOVAL === 0) removeRead().catch(onError);
  }, periodMs);
  if (carries) {
    endOthers(await endLeft(0), endLeft).catch(onError);
    if (several) endOthers(await endUnattached(0), endUnattached).catch(onError);
  }
  return () => {
    following = false;
    clearInterval(timer);
  };
}
