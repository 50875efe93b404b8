import type { Database } from 'better-sqlite3';
import { formatIpv6 } from '../../../protocol/ipv6.ts';
import { deriveIdentifier, type Identifier } from '../address.ts';
import type { Endpoint } from '../admission.ts';
import { changeFeed } from '../change-feed.ts';
import { openGroups } from '../open-groups.ts';
import { type Act, type Device, standingOf } from '../records.ts';
import { FABRIC, type Registry, type RegistryOptions } from '../registry.ts';
import { tunnelCounts } from '../tunnel-counts.ts';
import { type TunnelNews, tunnelNews } from '../tunnel-news.ts';
import { admitDevice, requireOpenGroup } from './admit.ts';
import { appendAudit, lastAudit, listAudit, verifyAudit } from './audit.ts';
import { changesSince, lastChange } from './changes.ts';
import { emptyDatabase, guarded, openDatabase } from './database.ts';
import {
  findDevice,
  keepReport,
  listDevices,
  requireDevice,
  setStanding,
  tunnelDown,
  tunnelUp,
} from './devices.ts';
import { type CommitQueue, commitQueue } from './group-commit.ts';
import { addGroup, groupByPrefix, listGroups, setGroupStatus } from './groups.ts';
import { listHandshakes, refusalLog } from './handshakes.ts';
import { addNetwork, listNetworks } from './networks.ts';
import { newsPart } from './news.ts';
import { peoplePart } from './people-part.ts';
import { addToken, findToken, listTokens, markUsed, revokeToken } from './tokens.ts';

/** About 200 MB of refused handshakes; older ones that prove nothing are forgotten. */
const REFUSALS_KEPT = 1_000_000;
/** The audit trail's name of two devices with one key. */
const CLONES = 'device.twins';

/** Opens the registry at `path`. @throws Failure see `openDatabase` */
export function openSqliteRegistry(path: string, options: RegistryOptions = {}): Registry {
  const { now = Date.now, identifier = deriveIdentifier, onError = () => {} } = options;
  const db = openDatabase(path, { now: now() });
  const read = <T>(work: () => T): T => guarded(path, work);
  const act = (actor: string): Act => ({ at: now(), actor });

  const groups = openGroups((gid) => read(() => requireOpenGroup(db, gid)));
  const feed = changeFeed(lastChange(db), (seq) => changesSince(db, seq), onError);
  feed.subscribe((change) => {
    if (change.kind === 'group') groups.clear();
  });
  const catchUp = (): void => {
    if (db.open) read(feed.catchUp);
  };
  const tryToCatchUp = (): void => {
    try {
      catchUp();
    } catch (error) {
      // Whoever follows tries again soon.
      onError(error);
    }
  };
  const queue = commitQueue(db, path, tryToCatchUp);
  const later = (job: () => void): void => {
    queue.submit(job).catch(onError);
  };

  const tunnels = tunnelNews(now());

  return {
    ...ownersPart(db, read, queue, act),
    ...tokensPart(db, read, queue, { act, now, later }),
    ...peoplePart(db, { read, queue, act, now }),
    ...newsPart(db, read, tunnels),
    ...tunnelPart(db, now, later, tunnels),
    lookup: (address) => read(() => endpointOf(findDevice(db, address))),
    onChange: (listener) =>
      feed.subscribe((change) => {
        if (change.kind === 'device') listener(change.address);
      }),
    clones: (address, from) =>
      later(() =>
        appendAudit(db, { ...act(FABRIC), action: CLONES, subject: formatIpv6(address), detail: { from } }),
      ),
    openGroup: async (gid) => groups.get(gid),
    ...handshakePart(db, queue, { act, identifier, refusalsKept: options.refusalsKept ?? REFUSALS_KEPT }),

    subscribe: feed.subscribe,
    catchUp: async () => catchUp(),
    async follow(periodMs) {
      await queue.submit(() => tunnelDown(db, now()));
      const timer = setInterval(tryToCatchUp, periodMs);
      return () => clearInterval(timer);
    },
    async close() {
      queue.close();
      db.close();
    },
  };
}

type Read = <T>(work: () => T) => T;

/** Lists, and changes by an owner. */
function ownersPart(db: Database, read: Read, queue: CommitQueue, act: (actor: string) => Act) {
  return {
    networks: async (page) => read(() => listNetworks(db, page)),
    addNetwork: (actor, prefix, name) => queue.submit(() => addNetwork(db, act(actor), prefix, name)),
    groups: async (page) => read(() => listGroups(db, page)),
    group: async (gidPrefix) => read(() => groupByPrefix(db, gidPrefix)),
    addGroup: (actor, group) => queue.submit(() => addGroup(db, act(actor), group)),
    setGroupStatus: (actor, gid, status) => queue.submit(() => setGroupStatus(db, act(actor), gid, status)),
    devices: async (page) => read(() => listDevices(db, page)),
    device: async (address) => read(() => requireDevice(db, address)),
    setStanding: (actor, address, change) => queue.submit(() => setStanding(db, act(actor), address, change)),
    clonesOf: (address) => lastAudit(db, read, CLONES, formatIpv6(address)),
    handshakes: async (page, device) => read(() => listHandshakes(db, page, device)),
    audit: async (page) => read(() => listAudit(db, page)),
    verifyAudit: (expected) => verifyAudit(db, read, expected),
  } satisfies Partial<Registry>;
}

/** How exactly it is kept when a token was last used. */
const USE_NOTED_MS = 60_000;

/** Tokens of the API. */
function tokensPart(
  db: Database,
  read: Read,
  queue: CommitQueue,
  { act, now, later }: { act: (actor: string) => Act; now: () => number; later: (job: () => void) => void },
) {
  return {
    tokens: async (page) => read(() => listTokens(db, page)),
    addToken: (actor, token) => queue.submit(() => addToken(db, act(actor), token)),
    revokeToken: (actor, id) => queue.submit(() => revokeToken(db, act(actor), id)),
    async useToken(hash) {
      const at = now();
      const token = read(() => findToken(db, hash, at));
      if (token !== undefined && (token.used === undefined || at - token.used >= USE_NOTED_MS))
        later(() => markUsed(db, token.id, at));
      return token;
    },
  } satisfies Partial<Registry>;
}

/** Tunnels that begin and end, and what devices report over them. */
function tunnelPart(db: Database, now: () => number, later: (job: () => void) => void, news: TunnelNews) {
  const tunnels = tunnelCounts();
  return {
    isConnected: tunnels.has,
    connected(address, from) {
      tunnels.add(address);
      news.note(address);
      later(() => tunnelUp(db, now(), address, from));
    },
    disconnected(address) {
      if (!tunnels.remove(address)) return;
      news.note(address);
      later(() => tunnelDown(db, now(), address));
    },
    reported: (address, report) => later(() => keepReport(db, now(), address, report)),
  } satisfies Partial<Registry>;
}

/** Handshakes, good and refused. */
function handshakePart(
  db: Database,
  queue: CommitQueue,
  {
    act,
    identifier,
    refusalsKept,
  }: { act: (actor: string) => Act; identifier: Identifier; refusalsKept: number },
) {
  const refusals = refusalLog(db, refusalsKept);
  return {
    admit: (applicant) => queue.submit(() => admitDevice(db, act(FABRIC), applicant, identifier)),
    refused: (handshake) => queue.submit(() => refusals.append({ ...handshake, at: act(FABRIC).at })),
  } satisfies Partial<Registry>;
}

function endpointOf(device: Device | undefined): Endpoint | undefined {
  if (device === undefined) return undefined;
  const { address, longtermKey, network } = device;
  return { address, longtermKey, network, standing: standingOf(device) };
}

/** The content of a new registry file; its audit trail begins with the actor who made it. */
export function emptySqliteRegistry(actor: string, at: number): Uint8Array {
  return emptyDatabase(at, (db) =>
    appendAudit(db, { at, actor, action: 'fabric.init', subject: 'registry' }),
  );
}
