import { setTimeout as sleep } from 'node:timers/promises';
import type { Log } from '../../os/service/log.ts';
import { isFailure } from '../../protocol/failure.ts';
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
  node: 'nodes.read',
  handshake: 'handshakes.read',
  audit: 'audit.read',
};

const RESET = { name: 'reset', data: {} } as const;

/** An event as it is sent; `reset`: events are left out, read the lists anew. */
export interface FeedEvent {
  /** The time at which it was passed on, in milliseconds, or a little later; those that are passed on together have one. */
  readonly id: number;
  readonly name: NewsEvent['name'] | 'reset';
  readonly data: object;
  readonly permission?: Permission;
  /** Whose it is, or of whom events are left out; undefined: everybody hears of it. */
  readonly owner?: number;
}

/** What happens in a fabric, with numbers that tell nobody how much of it is others'. */
export interface Feed {
  /** A number behind all events so far. */
  mark(): number;
  /** The events after a number: all, or those of one owner and what everybody hears of; undefined if they are not all kept. */
  since(id: number, owner: number | null): readonly FeedEvent[] | undefined;
  subscribe(listener: (events: readonly FeedEvent[]) => void): () => void;
  close(): void;
}

/**
 * Reads what is new as long as the console runs. The numbers begin at the time of its start: a browser that was connected to a former process has a
 * smaller one.
 */
export function startFeed({ news }: Pick<FabricBehind, 'news'>, log: Log, now: () => number): Feed {
  const listeners = new Set<(events: readonly FeedEvent[]) => void>();
  const kept: FeedEvent[] = [];
  /** The newest event of each owner that is not kept any more. */
  const forgotten = new Map<number, number>();
  let newest = now();
  /** The newest event that everybody heard of and is not kept any more, and of all. */
  let [common, last] = [newest, newest];
  const stopped = new AbortController();

  const mark = (): number => {
    newest = Math.max(now(), newest + 1);
    return newest;
  };

  function pass(events: readonly Omit<FeedEvent, 'id'>[]): void {
    const id = mark();
    const numbered = events.map((event) => ({ ...event, id }));
    kept.push(...numbered);
    for (const { id: gone, owner } of kept.splice(0, kept.length - KEPT)) {
      if (owner === undefined) common = gone;
      else forgotten.set(owner, gone);
      last = gone;
    }
    for (const listener of listeners) listener(numbered);
  }

  async function read(): Promise<void> {
    let position: Parameters<typeof news>[0];
    /** It is asked each second: that it fails is said once. The first failure since it answered last. */
    let failing: { readonly error: Error } | undefined;
    while (!stopped.signal.aborted) {
      const view = await news(position).catch((error: Error) => {
        if (!stopped.signal.aborted && failing === undefined)
          log('error', `no news of the fabric: ${isFailure(error) ? error.message : error.stack}`, error);
        failing ??= { error };
      });
      if (stopped.signal.aborted) return;
      if (failing !== undefined && view !== undefined) {
        if (!log.counts?.(failing.error)) log('notice', 'there are news of the fabric again');
        failing = undefined;
      }
      if (view === undefined) {
        await sleep(AWAY_MS, undefined, { signal: stopped.signal }).catch(() => undefined);
        continue;
      }
      position = view.position;
      const events = view.events.map((event) => ({ ...event, permission: PERMISSIONS[event.name] }));
      const resets = view.missed === 'all' ? [RESET] : view.missed.map((owner) => ({ ...RESET, owner }));
      if (events.length + resets.length > 0) pass([...events, ...resets]);
    }
  }
  void read();

  return {
    mark,
    since(id, owner) {
      const gone = owner === null ? last : Math.max(common, forgotten.get(owner) ?? 0);
      if (id < gone || id > newest) return undefined;
      return kept.filter((event) => event.id > id && isFor(event, owner));
    },
    subscribe(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    close: () => stopped.abort(),
  };
}

/** Whether it is of this owner, or everybody hears of it; null: of all. */
export const isFor = (event: FeedEvent, owner: number | null): boolean =>
  owner === null || event.owner === undefined || event.owner === owner;
