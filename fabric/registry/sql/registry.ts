import { setTimeout as wait } from 'node:timers/promises';
import { isFailure } from '../../../protocol/failure.ts';
import { EVERYTHING, HOST, type Scope } from '../../access/scope.ts';
import { deriveIdentifier } from '../address.ts';
import { changeFeed } from '../change-feed.ts';
import { DUTIES } from '../nodes.ts';
import { openGroups } from '../open-groups.ts';
import type { Act, Applicant } from '../records.ts';
import { FABRIC, type OwnedRegistry, type Registry, type RegistryOptions } from '../registry.ts';
import { tunnelNews } from '../tunnels/news.ts';
import { type Admitting, requireOpenGroup } from './admit.ts';
import { alarmPart, ownAlarmPart, type Servers } from './alarm-part.ts';
import { raiseObjection } from './alarms/objections.ts';
import type { CommitQueue } from './base/commit-queue.ts';
import type { Database } from './base/statements.ts';
import { excluded } from './counts/tallies.ts';
import { removeGroup, removeNetwork, replaceDevice, retireDevice } from './endings.ts';
import { follow } from './follow.ts';
import { delegate, setGrant, setPool } from './inventory/delegations.ts';
import { nameDevice, setStanding } from './inventory/devices.ts';
import { endpointOf, holders } from './inventory/endpoints.ts';
import { addGroup, changeGroup, groupClaimed, setGroupStatus } from './inventory/groups.ts';
import { groupOwner, refusalLog } from './inventory/handshakes.ts';
import { addNetwork, hasNetwork, renameNetwork, setResidentOnly, setZone } from './inventory/networks.ts';
import { newsPart } from './news.ts';
import { attach, tellOfClones } from './nodes/attach.ts';
import { nodesPart } from './nodes/part.ts';
import { ownersPart, ownersReader, ownPeoplePart, peoplePart } from './people/people-part.ts';
import { findToken, markUsed } from './people/tokens.ts';
import { networkAnchors } from './pki-arrivals.ts';
import { issuingPart, ownIssuingPart, ownPkiPart, pkiListsPart, pkiPart } from './pki-part.ts';
import { privacyPart } from './privacy/part.ts';
import { type Read, readingPart } from './reader.ts';
import { registerKey } from './registered-keys.ts';
import { ownRosterPart, rosterWork } from './rosters.ts';
import { tailsOf } from './search/tails.ts';
import { removeRate, setRate } from './traffic/rates.ts';
import { addRule, moveRule, removeRule } from './traffic/rules.ts';
import { appendAudit, TWINS, verifyAudit, verifyAuditPart } from './trail/audit.ts';
import { changesSince, everythingNow, lastChange } from './trail/changes.ts';
import type { KeptHead } from './trail/kept-head.ts';
import { noteOfDevice, ownerOfDevice } from './trail/notes.ts';
import { type Loss, lastRestore, recordLoss, recordRestore } from './trail/restored.ts';
import { tunnelPart } from './tunnels.ts';

/** Between two parts of what is read for searches at the start: others have most of the time. */
const FILL_PAUSE_MS = 10;
/** Between two parts of what is removed: others have most of the time. */
const SWEEP_PAUSE_MS = 10;
/** About 200 MB of refused handshakes; older ones that prove nothing are forgotten. */
const REFUSALS_KEPT = 1_000_000;

/** An engine, opened: what the registry's code is given of it. */
export interface Store {
  readonly db: Database;
  /** Runs an access; the engine's errors become a Failure. */
  readonly read: Read;
  readonly head: KeptHead;
  /** The clock that all nodes have in common, in milliseconds since 1970; absent: they are on one host, whose clock that is. */
  readonly now?: () => number;
  /** The same, elsewhere; `hasAll`: it has everything that was committed when it was asked. */
  readonly standby?: { readonly db: Database; hasAll(): Promise<boolean> };
  readonly servers?: Servers;
  /** How it is written; calls back after each commit. */
  writing(afterCommit: () => void): Writing;
  /** Calls back when somebody has changed something, if the engine hears of it; `anew`: what is read now may lack what was read before. */
  listen?(changed: (anew: boolean) => void): void;
  /** Has `record` say in the trail what was lost, if the engine goes on without. */
  onLoss?(record: (loss: Loss) => Promise<void>): void;
  close(): void;
}

/** How an engine is written. */
export interface Writing {
  readonly queue: CommitQueue;
  /** Admits chips by that queue. */
  admitting(work: Admitting): (applicant: Applicant) => Promise<Uint8Array>;
}

/** The registry on an engine, whose schema is the one that this program knows. */
export function registryOn(store: Store, options: RegistryOptions = {}): Registry {
  const { db, read, head } = store;
  const {
    now = Date.now,
    identifier = deriveIdentifier,
    onError = () => {},
    locate = () => undefined,
    cityOf = () => undefined,
    serves = DUTIES,
    nodesNow = store.now ?? now,
  } = options;
  const forAll = serves.includes('console');
  const act = (actor: string): Act => ({ at: now(), actor });
  let restoredAt = read(() => lastRestore(db));

  const groups = openGroups((gid) => read(() => requireOpenGroup(db, gid)));
  const anchors = networkAnchors(db);
  const feed = changeFeed(
    lastChange(db),
    { since: (seq) => read(() => changesSince(db, seq)), everything: () => read(() => everythingNow(db)) },
    onError,
  );
  feed.subscribe((change) => {
    if (change.kind !== 'group' && change.kind !== 'everything') return;
    groups.clear();
    anchors.clear();
  });
  const catchUp = async (): Promise<void> => {
    if (db.open) await feed.catchUp();
  };
  // Whoever follows tries again soon.
  const tryToCatchUp = (): void => void catchUp().catch(onError);
  /** What other nodes have changed, or given up. */
  const lookAtOthers = async (): Promise<void> => {
    if (db.open) restoredAt = read(() => lastRestore(db));
    await catchUp();
  };
  const { queue, admitting } = store.writing(tryToCatchUp);
  const later = (job: () => void): void => {
    queue.submit(job).catch(onError);
  };
  store.onLoss?.(async (loss) => {
    const made = act(FABRIC);
    await queue.submit(() => recordLoss(db, made, loss));
    restoredAt = made.at;
  });

  const news = tunnelNews(now());
  const tails = tailsOf(db, read);
  const parts = { read, queue, act, now };
  const { keep, part: privacy, own: ownPrivacy } = privacyPart(db, parts);
  const rosters = rosterWork(db, parts, {
    pause: () => wait(SWEEP_PAUSE_MS, undefined, { ref: false }),
    onError,
  });
  feed.subscribe((change) => {
    // It may be gone, or have no roster any more.
    if (forAll && (change.kind === 'group' || change.kind === 'everything')) rosters.sweep();
  });
  const admissions = admissionNews(onError);
  const vouched = { locate, keep: keep.address, admitted: admissions.tell };
  const nodes = nodesPart(
    db,
    { ...parts, now: nodesNow },
    { feed, actor: FABRIC, serves, tookForLost: () => tunnels.sayAgain() },
  );
  const ownNode = (): number => {
    const own = nodes.own();
    if (own === undefined) throw new Error('this process has not joined as a node');
    return own;
  };
  const tunnels = tunnelPart(db, {
    ...{ now, queue, feed, news, keep, node: nodes.own, onError, retryMs: options.retryMs },
  });

  return {
    of: (scope) => ({
      ...readingPart(db, scope, { read, tails, now }),
      ...changingPart(db, scope, queue, act),
      registerKey: (actor, key) => queue.submit(() => registerKey(db, scope, act(actor), key, identifier)),
      ...ownPeoplePart(db, scope, parts),
      ...ownAlarmPart(db, scope, parts),
      ...ownPrivacy(scope),
      ...ownRosterPart(db, scope, { ...parts, work: rosters }),
      ...ownPkiPart(db, scope, parts),
      ...ownIssuingPart(db, scope, parts),
      excluded: () => read(() => excluded(db)),
    }),
    async replica() {
      const { standby } = store;
      const asOf = now();
      if (standby === undefined || !(await standby.hasAll())) return undefined;
      return { asOf, of: (scope) => readingPart(standby.db, scope, { read, tails, now }) };
    },
    ...ownersReader(db, read),
    ...ownersPart(db, parts),
    ...tokensPart(db, read, { now, later }),
    ...peoplePart(db, parts),
    ...newsPart(db, read, news),
    ...nodes.part,
    attach: (address, host) => queue.submit(() => attach(db, now(), { node: ownNode(), address, host })),
    ...alarmPart(db, { ...parts, servers: store.servers }),
    ...pkiListsPart(db, parts),
    verifyAudit: (expected) => verifyAudit(db, read, expected),
    verifyAuditPart: async (from) => read(() => verifyAuditPart(db, from)),
    record: (actor, action, subject, detail = {}) =>
      queue.submit(() => appendAudit(db, { ...act(actor), owner: HOST, action, subject, detail })),
    ...privacy,
    ...tunnels.part,
    ...pkiPart(db, parts, { ...vouched, anchors }),
    ...issuingPart(db, parts, { ...vouched, identifier }),
    lookup: (address) => read(() => endpointOf(db, address, restoredAt)),
    holders: (addresses) => read(() => holders(db, addresses, restoredAt)),
    delegate: (address) => queue.submit(() => delegate(db, act(FABRIC), address)),
    excluded: () => read(() => excluded(db)),
    hasNetwork: (address) => read(() => hasNetwork(db, address)),
    onChange: (ofDevice, ofGroup, ofAll) =>
      feed.subscribe((change) => {
        if (change.kind === 'device') return ofDevice(change.address);
        if (change.kind === 'group') return ofGroup?.(change.gid);
        if (change.kind === 'everything') return ofAll?.();
      }),
    clones: (address, from) =>
      queue.submit(() => {
        if (!tellOfClones(db, now(), address)) return false;
        const owner = ownerOfDevice(db, address);
        const kept = from.map((each) => keep.address(each, owner));
        noteOfDevice(db, act(FABRIC), TWINS, address, { from: [...new Set(kept)] }, owner);
        return true;
      }),
    async decommission(address) {
      await queue.submit(() => retireDevice(db, EVERYTHING, act(FABRIC), address, 'device'));
    },
    openGroup: async (gid) => groups.get(gid),
    onAdmitted: admissions.subscribe,
    ...handshakePart(db, queue, {
      act: () => act(FABRIC),
      options: { identifier, locate, cityOf, keep: keep.address },
      admitting,
      refusalsKept: options.refusalsKept ?? REFUSALS_KEPT,
      admitted: admissions.tell,
    }),

    subscribe: feed.subscribe,
    catchUp,
    follow(periodMs) {
      if (forAll) {
        tails.fill(() => wait(FILL_PAUSE_MS, undefined, { ref: false })).catch(onError);
        rosters.sweep();
      }
      store.listen?.((anew) => {
        if (anew) feed.renew();
        tryToCatchUp();
      });
      return follow(
        {
          ...{ db, queue, feed, now, isConnected: tunnels.part.isConnected, endLeft: tunnels.endLeft },
          ...{ several: nodes.own() !== undefined, carries: serves.includes('tunnels'), onError },
          look: () => void lookAtOthers().catch(onError),
        },
        periodMs,
      );
    },
    missing: head.missing,
    async recordRestore(actor, detail) {
      const made = act(actor);
      await head.accept(() => queue.submit(() => recordRestore(db, made, detail)));
      restoredAt = made.at;
    },
    async close() {
      tunnels.flush();
      await queue.close();
      await tunnels.closed();
      head.close();
      store.close();
    },
  };
}

/** Changes in a scope. */
function changingPart(db: Database, scope: Scope, queue: CommitQueue, act: (actor: string) => Act) {
  return {
    addNetwork: (actor, prefix, name, note) =>
      queue.submit(() => addNetwork(db, scope, act(actor), prefix, { name, note })),
    async addGroup(actor, group) {
      try {
        return await queue.submit(() => addGroup(db, scope, act(actor), group));
      } catch (error) {
        if (!isFailure(error, 'fabric.group-claimed')) throw error;
        // What was refused is undone; that it was tried stays.
        const raised = await queue.submit(() => raiseObjection(db, scope, act(actor).at, group));
        throw raised ? groupClaimed(true) : error;
      }
    },
    setGroupStatus: (actor, gid, status) =>
      queue.submit(() => setGroupStatus(db, scope, act(actor), gid, status)),
    changeGroup: (actor, gid, change) => queue.submit(() => changeGroup(db, scope, act(actor), gid, change)),
    renameNetwork: (actor, prefix, name, note) =>
      queue.submit(() => renameNetwork(db, scope, act(actor), prefix, { name, note })),
    setZone: (actor, prefix, zone) => queue.submit(() => setZone(db, scope, act(actor), prefix, zone)),
    setResidentOnly: (actor, prefix, residentOnly) =>
      queue.submit(() => setResidentOnly(db, scope, act(actor), prefix, residentOnly)),
    nameDevice: (actor, address, change) =>
      queue.submit(() => nameDevice(db, scope, act(actor), address, change)),
    removeNetwork: (actor, prefix) => queue.submit(() => removeNetwork(db, scope, act(actor), prefix)),
    removeGroup: (actor, gid) => queue.submit(() => removeGroup(db, scope, act(actor), gid)),
    setPool: (actor, network, pool) => queue.submit(() => setPool(db, scope, act(actor), network, pool)),
    setGrant: (actor, receiver, granted) =>
      queue.submit(() => setGrant(db, scope, act(actor), receiver, granted)),
    addRule: (actor, network, rule, place) =>
      queue.submit(() => addRule(db, scope, act(actor), network, rule, place)),
    moveRule: (actor, id, place) => queue.submit(() => moveRule(db, scope, act(actor), id, place)),
    removeRule: (actor, id) => queue.submit(() => removeRule(db, scope, act(actor), id)),
    setRateLimit: (actor, network, party, change) =>
      queue.submit(() => setRate(db, scope, act(actor), network, party, change)),
    removeRateLimit: (actor, network, party) =>
      queue.submit(() => removeRate(db, scope, act(actor), network, party)),
    retireDevice: (actor, address) => queue.submit(() => retireDevice(db, scope, act(actor), address)),
    replaceDevice: (actor, from, to) => queue.submit(() => replaceDevice(db, scope, act(actor), from, to)),
    setStanding: (actor, address, change) =>
      queue.submit(() => setStanding(db, scope, act(actor), address, change)),
    record: (actor, action, subject, detail = {}) =>
      queue.submit(() => appendAudit(db, { ...act(actor), owner: scope.owner, action, subject, detail })),
  } satisfies Partial<OwnedRegistry>;
}

/** How exactly it is kept when a token was last used. */
const USE_NOTED_MS = 60_000;

/** Tokens of the API. */
function tokensPart(
  db: Database,
  read: Read,
  { now, later }: { now: () => number; later: (job: () => void) => void },
) {
  return {
    async useToken(hash) {
      const at = now();
      const token = read(() => findToken(db, hash, at));
      if (token !== undefined && (token.used === undefined || at - token.used >= USE_NOTED_MS))
        later(() => markUsed(db, token.id, at));
      return token;
    },
  } satisfies Partial<Registry>;
}

/** Who wants to know of devices that are about to be admitted. */
function admissionNews(onError: (error: unknown) => void) {
  const listeners = new Set<(address: Uint8Array) => void>();
  return {
    tell(address: Uint8Array): void {
      for (const listener of listeners) {
        try {
          listener(address);
        } catch (error) {
          onError(error);
        }
      }
    },
    subscribe(listener: (address: Uint8Array) => void): () => void {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
  };
}

/** Handshakes, good and refused. */
function handshakePart(
  db: Database,
  queue: CommitQueue,
  {
    act,
    options,
    admitting,
    refusalsKept,
    admitted,
  }: Admitting & {
    admitting: Writing['admitting'];
    refusalsKept: number;
    admitted: (address: Uint8Array) => void;
  },
) {
  const refusals = refusalLog(db, refusalsKept);
  const admit = admitting({ act, options });
  const { locate, cityOf, keep } = options;
  return {
    async admit(applicant) {
      const address = await admit(applicant);
      admitted(address);
      return address;
    },
    refused: (handshake, unlisted = 0) => {
      const country = locate(handshake.source);
      return queue.submit(() => {
        const owner = groupOwner(db, handshake.gid);
        const source = keep(handshake.source, owner);
        const city = source === '' ? undefined : cityOf(handshake.source);
        const place = { ...(country !== undefined && { country }), ...(city !== undefined && { city }) };
        refusals.append({ ...handshake, source, ...place, owner, at: act().at }, unlisted);
      });
    },
  } satisfies Partial<Registry>;
}
