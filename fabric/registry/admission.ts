import type { Prefix } from '../../protocol/ipv6.ts';
import type { Report } from '../../protocol/tunnel/report.ts';
import type { PkiAdmission } from './pki.ts';

/** The standing of a device in the registry. Only `active` ones are admitted. */
export const STANDINGS = ['active', 'suspended', 'evicted', 'banned', 'retired'] as const;

export type Standing = (typeof STANDINGS)[number];

/** Which tunnel of a device is the newest one, among those that were begun at any node. */
export interface Attached {
  /** Grows by one with each tunnel, from 1 on. */
  readonly generation: number;
  /** The name of the node where it ends; absent: it is over. */
  readonly node?: string;
}

/** How long it counts that one tunnel of a device replaced another. */
export const REPLACEMENT_WINDOW_MS = 900_000;
/** How long clones that were found are not told of again. */
export const CLONES_AGAIN_MS = 3_600_000;

/** A tunnel of a device has replaced one that was up, from another place. Places are compared only: outer addresses, or what stands for them. */
export interface Replacement {
  /** Milliseconds since 1970. */
  readonly at: number;
  readonly by: string;
  readonly from: string;
}

/** A tunnel that is the newest one of its device. */
export interface Attachment {
  readonly generation: number;
  /** If it is a replacement, that and those before it within the window, the newest last, at whichever nodes; else empty. 31 at most. */
  readonly replacements: readonly Replacement[];
  /** The outer address and port of the tunnel before it, as far as they are kept and written; empty: nothing is. */
  readonly former: string;
  /** When a node last told of clones of the device, milliseconds since 1970; absent: never. */
  readonly clonesTold?: number;
}

/** A device as the router needs it. */
export interface Endpoint {
  /** 16 bytes. */
  readonly address: Uint8Array;
  /** The registered longterm public key, 65 bytes uncompressed. */
  readonly longtermKey: Uint8Array;
  /** Its own, or its group's if that is stricter. */
  readonly standing: Standing;
  /** The id of its group, 32 bytes. */
  readonly gid: Uint8Array;
  /** The key is as old as the backup that the registry was restored from, or older: the device may have got a newer one since. */
  readonly outdated?: true;
  /** Devices reach each other within one network only. */
  readonly network: Prefix;
  /**
   * The /64 that it has for the machines behind it, too; `awaited`: one is granted, and `delegate` gives it; `none`: it has none, and may have had one. Absent:
   * no device of its network ever had one.
   */
  readonly delegated?: Prefix | 'awaited' | 'none';
  /** Absent: no node has attached it ever, as in a fabric whose nodes have no names. */
  readonly attached?: Attached;
}

/** A device that is shut out asks again after so many seconds, so that it is back within a minute when it is readmitted. */
const ABSENCE_SECONDS = 40;
/** All that are shut out together ask so often, for which the router needs a tenth of a processor. */
const ASKED_PER_SECOND = 100;

/** After how many seconds a device may ask again if so many are suspended or banned; agents come within half as long again. */
export const absenceSeconds = (excluded: number): number =>
  Math.max(ABSENCE_SECONDS, Math.ceil(excluded / ASKED_PER_SECOND));

/** Within so many seconds all agents have asked again. */
export const longestAbsence = (excluded: number): number => Math.ceil(absenceSeconds(excluded) * 1.5);

/** What a subscriber does about a change. If it returns a promise, whoever waits for the change waits for that, too. */
export type Listener<Changed> = (changed: Changed) => unknown;

/** Devices that are looked up together. For more of them PostgreSQL would rather read all groups. */
export const LOOKED_UP_AT_ONCE = 100;

/** What the router reads from the registry and records in it. */
export interface Admission extends PkiAdmission {
  /** The device that owns `address` (16 bytes), connected or not; undefined if there is none. */
  lookup(address: Uint8Array): Endpoint | undefined;
  /**
   * The devices that own these addresses (16 bytes; at most `LOOKED_UP_AT_ONCE`), in their order, connected or not; undefined where there is none. Of the
   * first address of a /64, which no device has for itself: the device to which the /64 is delegated now. All of them cost hardly more than one.
   */
  holders(addresses: readonly Uint8Array[]): readonly (Endpoint | undefined)[];
  /** True if `address` (16 bytes) lies in one of the fabric's networks, whether or not it is a device's. */
  hasNetwork(address: Uint8Array): boolean;
  /** How many devices are suspended or banned, and come now and then to ask whether they still are. */
  excluded(): number;
  /**
   * Calls `ofDevice` after a change of standing or key of a device became durable, and `ofGroup` after one of a whole group: that is one
   * change, however many devices the group has. After changes were missed it calls `ofAll`: whatever is known of a group or device may not be so any more.
   * Returns a function that ends the subscription.
   */
  onChange(
    ofDevice: Listener<Uint8Array>,
    ofGroup?: Listener<Uint8Array>,
    ofAll?: Listener<void>,
  ): () => void;
  /** Gives a device the prefix that is granted to it, if it has none yet. @throws Failure `fabric.pool-full` */
  delegate(address: Uint8Array): Promise<void>;
  /**
   * Makes a tunnel of the device (16 bytes) from the outer address `host`, which begins at this node, its newest one. Tunnels with smaller generations are
   * to be cut, wherever they end: the device has changed, so that all nodes hear of it. Only after `Nodes.join`. @throws Failure `fabric.unknown-device`
   */
  attach(address: Uint8Array, host: string): Promise<Attachment>;
  /** A tunnel of the device began; `from` is the outer address and port; `generation`: what `attach` said, if it was asked. */
  connected(address: Uint8Array, from: string, generation?: number): void;
  /** That tunnel ended, also when a newer one of the same device follows at once. */
  disconnected(address: Uint8Array, generation?: number): void;
  /** A tunnel that was attached will not begin: its peer has gone. */
  detached(address: Uint8Array, generation: number): void;
  /** A report that the device has sent over its tunnel. */
  reported(address: Uint8Array, report: Report): void;
  /** The device itself leaves for good, as it has said over its tunnel: it is retired once this resolves. */
  decommission(address: Uint8Array): Promise<void>;
  /**
   * Connections from these outer addresses replace each other again and again: two devices have one key. Resolves to false if that was told within the
   * hour, perhaps by another node.
   */
  clones(address: Uint8Array, from: readonly string[]): Promise<boolean>;
}
