import { setTimeout as wait } from 'node:timers/promises';
import type { ChangeFeed } from '../change-feed.ts';
import type { Registry } from '../registry.ts';
import { type TunnelHere, tunnelsHere } from '../tunnels/here.ts';
import type { TunnelNews } from '../tunnels/news.ts';
import { type TunnelNote, tunnelNotes } from '../tunnels/notes.ts';
import { ownTurn } from '../turns.ts';
import type { CommitQueue } from './base/commit-queue.ts';
import type { Database } from './base/statements.ts';
import { endOpenTunnels, keepReport, tunnelDown, tunnelUp } from './inventory/devices.ts';
import { attachedDown, attachedUp, endTunnelsOf } from './nodes/attach.ts';
import type { Keep } from './privacy/part.ts';
import { ownerOfDevice } from './trail/notes.ts';
import { COMPARED, sayTheyAreUp } from './tunnels-compared.ts';

/** After a write that failed, until the next attempt to say all again. */
const RETRY_MS = 5_000;

interface Parts {
  readonly now: () => number;
  readonly queue: CommitQueue;
  readonly feed: Pick<ChangeFeed, 'pass'>;
  readonly news: TunnelNews;
  readonly keep: Keep;
  /** The number of this node; undefined: no node has a name. */
  readonly node: () => number | undefined;
  readonly onError: (error: unknown) => void;
  readonly retryMs?: number | undefined;
}

/** Tunnels that begin and end here, and what devices report over them. */
export interface TunnelPart {
  readonly part: Pick<Registry, 'isConnected' | 'connected' | 'disconnected' | 'detached' | 'reported'>;
  /** Others took what is recorded of tunnels here for ended: in the background all of it is compared with what there is, and corrected. */
  sayAgain(): void;
  /** Ends those of tunnels that are recorded here and are not here, of devices behind a row; see `endTunnelsOf`. */
  endLeft(after: number): Promise<number | undefined>;
  /** Writes what waits; nothing is compared any more. */
  flush(): void;
  /** Resolves when nothing of this is under way. */
  closed(): Promise<void>;
}

/**
 * What is written of tunnels has no caller who would hear that it failed, and try again. So when such a write has failed all tunnels are said again, by and
 * by, as soon as the registry can be written.
 */
export function tunnelPart(db: Database, parts: Parts): TunnelPart {
  const { now, queue, feed, news, keep, node, onError, retryMs = RETRY_MS } = parts;
  const here = tunnelsHere();
  const closing = new AbortController();
  const { signal } = closing;
  let due = false;
  let saying: Promise<void> | undefined;

  const ownNode = (): number => {
    const own = node();
    if (own === undefined) throw new Error('this process has not joined as a node');
    return own;
  };

  function write({ address, generation, begun, ended }: TunnelNote): void {
    const attached = generation === undefined ? undefined : { address, generation, node: ownNode() };
    if (begun !== undefined) {
      const { at } = begun;
      const from = keep.endpoint(begun.from, ownerOfDevice(db, address));
      if (attached === undefined) tunnelUp(db, at, address, from);
      else attachedUp(db, attached, { at, from });
    }
    if (ended === undefined) return;
    if (attached === undefined) tunnelDown(db, ended, address);
    else attachedDown(db, ended, attached);
  }

  function writeLater(note: TunnelNote): void {
    queue
      .submit(() => write(note))
      .catch((error: unknown) => {
        onError(error);
        failed();
      });
  }

  /** One that is attached and has not begun is ended, too: it is written anew when it begins. */
  const endLeft = (after: number): Promise<number | undefined> =>
    queue.submit(() => {
      const own = node();
      return own === undefined
        ? endOpenTunnels(db, now(), after, here.has)
        : endTunnelsOf(db, now(), own, after, here.has);
    });

  /**
   * Compares all tunnels that there are now, in parts, between which others write: as many as a node has take some seconds. After a part that failed it goes
   * on with that when it is called again: so it comes to an end where a server is slow.
   */
  function comparison(): () => Promise<void> {
    const comparing = { node: ownNode, keep: keep.endpoint };
    const all = here.all();
    let first = 0;
    let after: number | undefined = 0;
    return async () => {
      for (; first < all.length; first += COMPARED) {
        await ownTurn();
        if (signal.aborted) return;
        const tunnels = all.slice(first, first + COMPARED);
        // What has ended meanwhile is said by its own note, which may be written already.
        const elsewhere = await queue.submit(() =>
          sayTheyAreUp(db, tunnels.filter(here.isNewest), comparing),
        );
        for (const address of elsewhere) feed.pass({ kind: 'device', address });
      }
      while (after !== undefined) {
        await ownTurn();
        if (signal.aborted) return;
        after = await endLeft(after);
      }
    };
  }

  async function sayUntilDone(pauseMs: number): Promise<void> {
    let compare: (() => Promise<void>) | undefined;
    for (let pause = pauseMs; (due || compare !== undefined) && !signal.aborted; pause = retryMs) {
      if (pause > 0) await wait(pause, undefined, { signal, ref: false }).catch(() => {});
      if (signal.aborted) break;
      if (compare === undefined) {
        due = false;
        compare = comparison();
      }
      try {
        await compare();
        compare = undefined;
      } catch (error) {
        onError(error);
      }
    }
    saying = undefined;
  }

  function say(pauseMs: number): void {
    due = true;
    if (signal.aborted) return;
    saying ??= sayUntilDone(pauseMs);
  }
  const failed = (): void => say(retryMs);

  const attachedAs = (generation: number | undefined) => generation !== undefined && { generation };
  const notes = tunnelNotes(writeLater, ({ address, at, report }) => {
    queue.submit(() => keepReport(db, at, address, report)).catch(onError);
  });
  return {
    part: {
      isConnected: here.has,
      connected(address, from, generation) {
        const at = now();
        const tunnel: TunnelHere = { address, at, from, ...attachedAs(generation) };
        here.add(tunnel);
        news.note(address);
        notes.tunnel({ address, ...attachedAs(generation), begun: { at, from } });
      },
      disconnected(address, generation) {
        if (!here.remove(address)) return;
        news.note(address);
        notes.tunnel({ address, ...attachedAs(generation), ended: now() });
      },
      detached: (address, generation) => writeLater({ address, generation, ended: now() }),
      reported: (address, report) => notes.report({ address, at: now(), report }),
    },
    sayAgain: () => say(0),
    endLeft,
    flush() {
      closing.abort();
      notes.flush();
    },
    async closed() {
      await saying;
    },
  };
}
