import type { Prefix } from '../../protocol/ipv6.ts';
import type { Admission, Standing } from './admission.ts';
import type { Applicant, Change, Device, Group, GroupStatus, Handshake, Network } from './records.ts';
import type { AuditEntry } from './sqlite/audit.ts';
import type { Verdict } from './sqlite/devices.ts';

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

/** A device's standing together with its group's. */
export function standingOf(device: Device): Standing {
  return device.standing === 'active' && device.groupStatus === 'suspended' ? 'suspended' : device.standing;
}
