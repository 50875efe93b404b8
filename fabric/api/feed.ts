import { setTimeout as sleep } from 'node:timers/promises';
import type { Log } from '../../os/service/log.ts';
import type { Permission } from '../access/roles.ts';
import type { NewsEvent } from '../operations/news.ts';
import type { FabricBehind } from './options.ts';

/** Events that are kept for a browser that was away. */
const KEPT = 1_000;
/** Pause before a fabric that does not answer is asked again. */
const AWAY_MS = 1_000;

/** What each event may be seen with; everybody may hear of a reset. */
const PERMISSIONS: Readonly<Record<NewsEvent['name'], Permission>> = {
  device: 'devices.read',
  group: 'groups.read',
  network: 'networks.read',
  handshake: 'handshakes.read',
  audit: 'audit.read',
};

/** An event as it is sent; `reset`: events are left out, read the lists anew. */
export interface FeedEvent {
  readonly id: number;
  readonly name: NewsEvent['name'] | 'reset';
  readonly data: object;
  readonly permission?: Permission;
  /** Whose it is; everybody hears of a reset. */
  readonly owner?: number;
}

/** What happens in a fabric, numbered. */
export interface Feed {
  /** Of the newest event. */
  readonly newest: number;
  /** The events after this number; undefined if they are not all kept. */
  since(id: number): readonly FeedEvent[] | undefined;
  subscribe(listener: (events: readonly FeedEvent[]) => void): () => void;
  close(): void;
}

/**
 * Reads what is new as long as the console runs. The numbers begin at the time of its start in milliseconds: a browser that was connected to
 * a former process has a smaller one.
 */
export function startFeed({ news }: Pick<FabricBehind, 'news'>, log: Log, now: () => number): Feed {
  const listeners = new Set<(events: readonly FeedEvent[]) => void>();
  const kept: FeedEvent[] = [];
  let newest = now();
  const stopped = new AbortController();

  function pass(events: readonly Omit<FeedEvent, 'id'>[]): void {
    const numbered = events.map((event) => ({ ...event, id: ++newest }));
    kept.push(...numbered);
    kept.splice(0, kept.length - KEPT);
    for (const listener of listeners) listener(numbered);
  }

  async function read(): Promise<void> {
    let position: Parameters<typeof news>[0];
    while (!stopped.signal.aborted) {
      const view = await news(position).catch((error: Error) => {
        if (!stopped.signal.aborted) log('error', `news: ${error.stack}`);
      });
      if (stopped.signal.aborted) return;
      if (view === undefined) {
        await sleep(AWAY_MS, undefined, { signal: stopped.signal }).catch(() => undefined);
        continue;
      }
      position = view.position;
      const events = view.events.map((event) => ({ ...event, permission: PERMISSIONS[event.name] }));
      if (view.missed) pass([...events, { name: 'reset', data: {} }]);
      else if (events.length > 0) pass(events);
    }
  }
  void read();

  return {
    get newest() {
      return newest;
    },
    since(id) {
      const oldest = newest - kept.length;
      return id < oldest || id > newest ? undefined : kept.slice(id - oldest);
    },
    subscribe(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    close: () => stopped.abort(),
  };
}
