import type { Scope } from '../../access/scope.ts';
import type { Act } from '../records.ts';
import type { OwnRosters, RosterReader } from '../rosters.ts';
import { ownTurn } from '../turns.ts';
import type { CommitQueue } from './base/commit-queue.ts';
import type { Database } from './base/statements.ts';
import { requireGroup } from './inventory/groups.ts';
import { type Arrivals, rosterArrivals } from './roster/arrival.ts';
import { indexSome } from './roster/keys.ts';
import {
  beginRoster,
  findRoster,
  hasDropped,
  isAwaited,
  makerKeys,
  removeRoster,
  rosterOf,
  sweepRosters,
} from './roster/rosters.ts';
import { changeRoster, listRoster, rosterEntry } from './roster-list.ts';

interface Parts {
  /** Runs each access to the file. */
  read<T>(work: () => T): T;
  readonly queue: CommitQueue;
  act(actor: string): Act;
}

/** Rosters, read on this connection. */
export const rosterReader = (db: Database, scope: Scope, read: Parts['read']): RosterReader => ({
  roster: async (gid) =>
    read(() => {
      requireGroup(db, scope, gid);
      const kept = findRoster(db, gid);
      return {
        awaited: isAwaited(db, gid),
        ...(kept !== undefined && { roster: rosterOf(db, kept) }),
      };
    }),
  makerKeys: async () => read(() => makerKeys(db, scope)),
  rosterRows: async (gid, page, filter) => read(() => listRoster(db, scope, gid, page, filter)),
  rosterEntry: async (device) => read(() => rosterEntry(db, scope, device)),
});

/** What this process does with the rosters of all owners. */
export interface RosterWork {
  readonly arrivals: Arrivals;
  /** Removes the rows of rosters that are no group's any more, in parts; goes on by itself. */
  sweep(): void;
}

/** `pause` is between two parts. */
export function rosterWork(
  db: Database,
  { read, queue }: Pick<Parts, 'read' | 'queue'>,
  { pause, onError }: { pause: () => Promise<unknown>; onError: (error: unknown) => void },
): RosterWork {
  let sweeping = false;
  const sweep = async (): Promise<void> => {
    while (db.open && read(() => hasDropped(db))) {
      await queue.submit(() => sweepRosters(db));
      await pause();
    }
  };
  return {
    arrivals: rosterArrivals(db, queue),
    sweep() {
      if (sweeping) return;
      sweeping = true;
      sweep()
        .catch(onError)
        .finally(() => {
          sweeping = false;
        });
    },
  };
}

/** The rosters of an owner's groups. */
export function ownRosterPart(
  db: Database,
  scope: Scope,
  { read, queue, act, work }: Parts & { readonly work: RosterWork },
): Omit<OwnRosters, keyof RosterReader> {
  /** What fails may have dropped a roster. */
  const swept = <T>(done: Promise<T>): Promise<T> => done.finally(work.sweep);
  return {
    async beginRoster(actor, gid, roster) {
      await queue.submit(() => beginRoster(db, act(actor), requireGroup(db, scope, gid), roster));
      work.sweep();
      const kept = read(() => findRoster(db, gid)!);
      return { offset: kept.whole === 1 ? kept.received : await work.arrivals.begin(kept) };
    },
    async addRosterPart(gid, offset, part) {
      const id = read(() => {
        requireGroup(db, scope, gid);
        return findRoster(db, gid)?.id ?? 0;
      });
      return { offset: await swept(work.arrivals.add(id, offset, part)) };
    },
    async indexRoster(actor, gid) {
      const group = read(() => requireGroup(db, scope, gid));
      await ownTurn();
      await swept(indexSome(db, { read, queue }, () => act(actor), group));
    },
    setRosterStanding: (actor, gid, change) =>
      queue.submit(() => changeRoster(db, scope, act(actor), gid, change)),
    removeRoster: (actor, gid) =>
      queue.submit(() => removeRoster(db, act(actor), requireGroup(db, scope, gid))),
  };
}
