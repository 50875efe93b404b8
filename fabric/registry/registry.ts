import { toHex } from '../../protocol/bytes.ts';
import { formatIpv6, type Prefix } from '../../protocol/ipv6.ts';
import { deriveIdentifier, type Identifier } from './address.ts';
import type { Admission, Endpoint, Standing } from './admission.ts';
import type { Act, Applicant, Change, Device, Group, GroupStatus, Handshake, Network } from './records.ts';
import { admitDevice, requireOpenGroup } from './sqlite/admit.ts';
import { type AuditEntry, appendAudit, lastAudit, listAudit, verifyAudit } from './sqlite/audit.ts';
import { changesSince, lastChange } from './sqlite/changes.ts';
import { emptyDatabase, guarded, openDatabase } from './sqlite/database.ts';
import {
  findDevice,
  judgeDevice,
  keepReport,
  listDevices,
  requireDevice,
  tunnelDown,
  tunnelUp,
  type Verdict,
} from './sqlite/devices.ts';
import { commitQueue } from './sqlite/group-commit.ts';
import { addGroup, groupByPrefix, listGroups, setGroupStatus } from './sqlite/groups.ts';
import { forgetOldRefusals, listHandshakes, recordHandshake } from './sqlite/handshakes.ts';
import { addNetwork, listNetworks } from './sqlite/networks.ts';

/** Who may have which address, and everything that ever changed about it. All writes are on the disk when they return. */
export interface Registry extends Admission {
  networks(): Network[];
  /** @throws Failure `fabric.network-exists` */
  addNetwork(prefix: Prefix, name: string): Network;
  groups(): Group[];
  /** @throws Failure `fabric.unknown-group`, `fabric.ambiguous-group` */
  group(gidPrefix: string): Group;
  /** @throws Failure `fabric.unknown-network`, `fabric.group-exists` */
  addGroup(group: Omit<Group, 'status' | 'created'>): Group;
  /** False if it had that status already. @throws Failure `fabric.unknown-group` */
  setGroupStatus(gid: Uint8Array, status: GroupStatus): boolean;
  /** The group if its devices may provision. @throws Failure `fabric.group-not-admitted`, `fabric.group-suspended` */
  openGroup(gid: Uint8Array): Group;
  devices(): Device[];
  /** @throws Failure `fabric.unknown-device` */
  device(address: Uint8Array): Device;
  /** False if there was nothing to do. @throws Failure `fabric.unknown-device` */
  judge(address: Uint8Array, verdict: Verdict): boolean;
  /** The newest first; of one device, or of all. */
  handshakes(limit: number, device?: Device): Handshake[];
  /** Admits a verified chip; resolves to its 16-byte address after the commit. @throws Failure see `admitDevice` */
  admit(applicant: Applicant): Promise<Uint8Array>;
  /** Appends a refused handshake to the history. */
  refused(handshake: Omit<Handshake, 'at'>): Promise<void>;
  audit(limit: number): AuditEntry[];
  /** @throws Failure `audit.broken` */
  verifyAudit(expected?: { seq: number; hash: Uint8Array }): { entries: number; head: Uint8Array };
  /** When two devices were last found to have this one's key: `detail.from` says where they connect from. */
  twinsOf(address: Uint8Array): AuditEntry | undefined;
  /** Hears of every change, by this process or another, once it is durable and `catchUp` has seen it. */
  subscribe(listener: (change: Change) => void): () => void;
  /** Looks for changes other processes made and tells the subscribers. */
  catchUp(): void;
  /** Calls `catchUp` every `periodMs`: the backstop behind the nudge. Returns the way to stop. */
  follow(periodMs: number): () => void;
  /** Commits what waits and closes the file. */
  close(): void;
}

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

/** A device's standing together with its group's. */
export function standingOf(device: Device): Standing {
  return device.standing === 'active' && device.groupStatus === 'suspended' ? 'suspended' : device.standing;
}
