import type { ChangeFeed } from '../change-feed.ts';
import type { CommitQueue } from './file/group-commit.ts';
import type { Database } from './file/statements.ts';
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
  /** Looks for changes of other processes. */
  readonly look: () => void;
  readonly onError: (error: unknown) => void;
}

/**
 * What the one process that serves does beside what it is asked: ends the tunnels that a crash has left recorded as up, looks for
 * changes, and removes those that were read. Everything is done in parts. The first tunnels have ended when it resolves.
 */
export async function follow(
  { db, queue, feed, now, isConnected, look, onError }: Following,
  periodMs: number,
): Promise<() => void> {
  let following = true;
  let removed = 0;
  let looks = 0;
  const at = now();

  const endTunnels = (after: number): Promise<number | undefined> =>
    queue.submit(() => endOpenTunnels(db, at, after, isConnected));

  async function endOthers(last: number | undefined): Promise<void> {
    for (let after = last; after !== undefined && following; ) after = await endTunnels(after);
  }

  async function removeRead(): Promise<void> {
    const { seen } = feed;
    if (seen === removed) return;
    while (following && (await queue.submit(() => removeChanges(db, seen))));
    removed = seen;
  }

  const timer = setInterval(() => {
    look();
    if (looks++ % LOOKS_PER_REMOVAL === 0) removeRead().catch(onError);
  }, periodMs);
  endOthers(await endTunnels(0)).catch(onError);
  return () => {
    following = false;
    clearInterval(timer);
  };
}
