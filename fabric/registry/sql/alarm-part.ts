import { HOST, type Scope } from '../../access/scope.ts';
import type { ServerState } from '../alarms.ts';
import type { Act } from '../records.ts';
import type { OwnedRegistry, Registry } from '../registry.ts';
import {
  acknowledgeAlarm,
  anyOpen,
  casEnding,
  followTrail,
  recordFindings,
  tokensEnding,
  trailPosition,
} from './alarms/alarms.ts';
import {
  addHook,
  dueDeliveries,
  recordAttempt,
  removeHook,
  retryDelivery,
  testHook,
} from './alarms/hooks.ts';
import type { CommitQueue } from './base/commit-queue.ts';
import type { Database } from './base/statements.ts';
import { beyondLimits, failures, overAnnounced } from './counts/found.ts';
import { listsEnding } from './pki-lists.ts';
import type { Read } from './reader.ts';

/** See `Alarms.servers`. */
export type Servers = () => readonly ServerState[];

interface Parts {
  readonly read: Read;
  readonly queue: CommitQueue;
  readonly act: (actor: string) => Act;
  readonly now: () => number;
}

/** The alarms of an owner, and who hears of them. */
export const ownAlarmPart = (db: Database, scope: Scope, { queue, act, now }: Parts) =>
  ({
    acknowledgeAlarm: (actor, id) => queue.submit(() => acknowledgeAlarm(db, scope, act(actor), id)),
    addHook: (actor, hook) => queue.submit(() => addHook(db, scope, act(actor), hook)),
    removeHook: (actor, id) => queue.submit(() => removeHook(db, scope, act(actor), id)),
    testHook: (actor, id) => queue.submit(() => testHook(db, scope, act(actor), id)),
    retryDelivery: (_actor, id) => queue.submit(() => retryDelivery(db, scope, now(), id)),
  }) satisfies Partial<OwnedRegistry>;

/** What finds alarms, and sends them. `servers`: what the engine knows of those it may use. */
export function alarmPart(
  db: Database,
  { read, queue, now, servers = () => [] }: Omit<Parts, 'act'> & { readonly servers?: Servers | undefined },
) {
  let lastOwner = HOST;
  return {
    // Mostly there is nothing to write.
    async recordFindings(kinds, findings, holdMs) {
      if (findings.length === 0 && !read(() => anyOpen(db, kinds))) return;
      await queue.submit(() => recordFindings(db, now(), kinds, findings, holdMs));
    },
    async followTrail() {
      const { seen, newest } = read(() => trailPosition(db));
      return seen === newest ? false : queue.submit(() => followTrail(db, now()));
    },
    overAnnounced: async () => read(() => overAnnounced(db)),
    beyondLimits: async (since) => read(() => beyondLimits(db, since)),
    failures: async (since, after) => read(() => failures(db, since, after)),
    tokensEnding: async (until) => read(() => tokensEnding(db, now(), until)),
    listsEnding: async () => read(() => listsEnding(db, now())),
    casEnding: async (days) => read(() => casEnding(db, now(), days)),
    servers,
    async dueDeliveries(most) {
      const { due, last } = read(() => dueDeliveries(db, now(), { most, after: lastOwner }));
      lastOwner = last;
      return due;
    },
    recordAttempt: (id, attempt) => queue.submit(() => recordAttempt(db, now(), id, attempt)),
  } satisfies Partial<Registry>;
}
