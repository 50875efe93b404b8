import { toHex } from '../../../protocol/bytes.ts';
import { formatIpv6 } from '../../../protocol/ipv6.ts';
import { deriveIdentifier, type Identifier } from '../address.ts';
import type { Endpoint } from '../admission.ts';
import type { Act, Change, Group } from '../records.ts';
import { type Registry, standingOf } from '../registry.ts';
import { admitDevice, requireOpenGroup } from './admit.ts';
import { appendAudit, lastAudit, listAudit, verifyAudit } from './audit.ts';
import { changesSince, lastChange } from './changes.ts';
import { emptyDatabase, guarded, openDatabase } from './database.ts';
import {
  findDevice,
  judgeDevice,
  keepReport,
  listDevices,
  requireDevice,
  tunnelDown,
  tunnelUp,
} from './devices.ts';
import { commitQueue } from './group-commit.ts';
import { addGroup, groupByPrefix, listGroups, setGroupStatus } from './groups.ts';
import { forgetOldRefusals, listHandshakes, recordHandshake } from './handshakes.ts';
import { addNetwork, listNetworks } from './networks.ts';

export interface RegistryOptions {
  /** Who acts, for the audit trail: `fabric`, or the user at the command line. */
  readonly actor: string;
  readonly now?: () => number;
  /** Narrowed in tests, where two chips must collide. */
  readonly identifier?: Identifier;
  /** How many of the newest handshakes are kept even if they were refused and prove nothing. */
  readonly refusalsKept?: number;
  /** Told of what cannot be thrown to anybody. */
  readonly onError?: (error: unknown) => void;
}

/** About 200 MB of refused handshakes; older ones of nobody in particular are forgotten. */
const REFUSALS_KEPT = 1_000_000;
const TIDY_EVERY = 1_000;
/** The audit trail's word for two devices with one key. */
const TWINS = 'device.twins';

/** Opens the registry at `path`. @throws Failure see `openDatabase` */
export function openRegistry(path: string, options: RegistryOptions): Registry {
  const now = options.now ?? Date.now;
  const identifier = options.identifier ?? deriveIdentifier;
  const onError = options.onError ?? (() => {});
  const db = openDatabase(path, { now: now() });
  const act = (): Act => ({ at: now(), actor: options.actor });
  const write = <T>(work: () => T): T => {
    const result = guarded(path, () => db.transaction(work).immediate());
    catchUp();
    return result;
  };

  const read = <T>(work: () => T): T => guarded(path, work);

  const listeners = new Set<(change: Change) => void>();
  let seen = lastChange(db);
  // Of groups that were open; whether they still are is looked up when a device is admitted.
  const openGroups = new Map<string, Group>();
  function catchUp(): void {
    if (!db.open) return;
    const { seq, changes } = read(() => changesSince(db, seen));
    seen = seq;
    for (const change of changes) {
      if (change.kind === 'group') openGroups.clear();
      for (const listener of listeners) {
        try {
          listener(change);
        } catch (error) {
          onError(error);
        }
      }
    }
  }
  let refusals = 0;
  const queue = commitQueue(db, path, catchUp);

  // A newer tunnel of an address replaces the older one: it is up as long as one of them is.
  const tunnels = new Map<string, number>();
  function tunnelCount(address: Uint8Array, step: 1 | -1): number {
    const name = toHex(address);
    const count = Math.max(0, (tunnels.get(name) ?? 0) + step);
    if (count === 0) tunnels.delete(name);
    else tunnels.set(name, count);
    return count;
  }
  const later = (job: () => void): void => {
    queue.submit(job).catch(onError);
  };

  return {
    networks: () => read(() => listNetworks(db)),
    addNetwork: (prefix, name) => write(() => addNetwork(db, act(), prefix, name)),
    groups: () => read(() => listGroups(db)),
    group: (gidPrefix) => read(() => groupByPrefix(db, gidPrefix)),
    addGroup: (group) => write(() => addGroup(db, act(), group)),
    setGroupStatus: (gid, status) => write(() => setGroupStatus(db, act(), gid, status)),
    openGroup(gid) {
      const name = toHex(gid);
      const group = openGroups.get(name) ?? read(() => requireOpenGroup(db, gid));
      openGroups.set(name, group);
      return group;
    },
    devices: () => read(() => listDevices(db)),
    device: (address) => read(() => requireDevice(db, address)),
    judge: (address, verdict) => write(() => judgeDevice(db, act(), address, verdict)),
    handshakes: (limit, device) => read(() => listHandshakes(db, limit, device)),
    admit: (applicant) => queue.submit(() => admitDevice(db, act(), applicant, identifier)),
    refused: (handshake) =>
      queue.submit(() => {
        recordHandshake(db, { ...handshake, at: now() });
        if (refusals++ % TIDY_EVERY === 0) forgetOldRefusals(db, options.refusalsKept ?? REFUSALS_KEPT);
      }),
    audit: (limit) => read(() => listAudit(db, limit)),
    verifyAudit: (expected) => read(() => verifyAudit(db, expected)),

    lookup(address): Endpoint | undefined {
      const device = read(() => findDevice(db, address));
      if (device === undefined) return undefined;
      const { longtermKey, network } = device;
      return { address, longtermKey, network, standing: standingOf(device) };
    },
    onChange: (listener) =>
      subscribe((change) => {
        if (change.kind === 'device') listener(change.address);
      }),
    connected(address, from) {
      tunnelCount(address, 1);
      later(() => tunnelUp(db, now(), address, from));
    },
    disconnected(address) {
      if (tunnelCount(address, -1) === 0) later(() => tunnelDown(db, now(), address));
    },
    reported(address, report) {
      later(() => keepReport(db, now(), address, report));
    },
    twins(address, from) {
      const subject = formatIpv6(address);
      later(() => appendAudit(db, { ...act(), action: TWINS, subject, detail: { from } }));
    },
    twinsOf: (address) => read(() => lastAudit(db, TWINS, formatIpv6(address))),
    subscribe,
    catchUp,
    follow(periodMs) {
      // Whoever follows is the one fabric at work: a tunnel still noted as up is one it lost in a crash.
      write(() => tunnelDown(db, now()));
      const timer = setInterval(() => {
        try {
          catchUp();
        } catch (error) {
          onError(error);
        }
      }, periodMs);
      return () => clearInterval(timer);
    },
    close() {
      queue.close();
      db.close();
    },
  };

  function subscribe(listener: (change: Change) => void): () => void {
    listeners.add(listener);
    return () => listeners.delete(listener);
  }
}

/** The content of a new registry file; its audit trail begins with who made it. */
export function emptyRegistry(actor: string, at = Date.now()): Uint8Array {
  return emptyDatabase(at, (db) =>
    appendAudit(db, { at, actor, action: 'fabric.init', subject: 'registry' }),
  );
}
