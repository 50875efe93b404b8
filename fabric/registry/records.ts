import { toHex } from '../../protocol/bytes.ts';
import { Failure } from '../../protocol/failure.ts';
import { formatPrefix, isInUnicast, type Prefix, parsePrefix } from '../../protocol/ipv6.ts';
import type { Attached, Standing } from './admission.ts';

/** A /64 from which devices get their addresses. */
export interface Network {
  readonly prefix: Prefix;
  readonly name: string;
  /** The name of the owner whose it is. */
  readonly owner: string;
  /** What somebody has noted of it. */
  readonly note?: string;
  /** The domain below which its devices have their names in DNS, see `parseSuffix`. */
  readonly zone?: string;
  /** Devices come in only if the roster of their group says that their chips keep their keys. */
  readonly residentOnly: boolean;
  /** The prefix of 48 to 64 bits out of which /64s are delegated to its devices. */
  readonly pool?: Prefix;
  /** Milliseconds since 1970, as all times here. */
  readonly created: number;
}

export type GroupStatus = 'active' | 'suspended';

/** A batch of devices: whoever proves membership in it is admitted to its network. */
export interface Group {
  /** 32 bytes (xtt-protocol.md §5). */
  readonly gid: Uint8Array;
  /** 258 bytes. */
  readonly gpk: Uint8Array;
  /** 1..64 bytes. */
  readonly basename: Uint8Array;
  readonly name: string;
  readonly network: Prefix;
  /** Whose it is: the number of an owner. */
  readonly owner: number;
  /** What that owner is called. */
  readonly ownerName: string;
  readonly status: GroupStatus;
  /** SHA-256 of the label's claim secret, if it had one. */
  readonly claimHash?: Uint8Array;
  /** How many devices the owner expects. */
  readonly announced?: number;
  /** No device comes in for the first time if so many have, without those that were retired. */
  readonly most?: number;
  /** Where the address must be registered from which a device comes for the first time: ISO 3166-1 codes, `private`, `unknown`. */
  readonly countries?: readonly string[];
  /** The number of the CA that vouches for its devices. */
  readonly anchor?: number;
  /** Its devices have keys that their owner has registered; without this and without a CA they prove themselves with their TPMs. */
  readonly keys?: true;
  readonly created: number;
}

/** Devices by standing: `devices` is `active`, `banned`, `evicted` and `retired` together, less those that are counted twice. */
export interface StandingCounts {
  readonly devices: number;
  /** Neither banned, evicted nor retired. */
  readonly active: number;
  readonly banned: number;
  readonly evicted: number;
  /** Those of the banned that are evicted as well. */
  readonly bannedAndEvicted: number;
  readonly retired: number;
}

/** A group with the numbers of its devices. */
export type CountedGroup = Group & StandingCounts;

/** Evicted: has to provision again, and may. Banned: may not until unbanned, whether evicted or not. Retired: may never again. */
export type DeviceStanding = 'active' | 'evicted' | 'banned' | 'retired';

/** What an owner does to a device's standing. */
export type StandingChange = 'evict' | 'ban' | 'unban';

/** How a device proves itself: with its TPM, with a certificate of a CA of its owner, or with a key that its owner has registered. */
export const DEVICE_KINDS = ['tpm', 'pki', 'key'] as const;
export type DeviceKind = (typeof DEVICE_KINDS)[number];

/** One chip in one group, one address that a CA has given, or one key. */
export interface Device {
  /** 16 bytes, never changes. */
  readonly address: Uint8Array;
  readonly kind: DeviceKind;
  /** A DNS label that no other device of its owner has. */
  readonly name?: string;
  readonly note?: string;
  readonly gid: Uint8Array;
  readonly groupName: string;
  readonly groupStatus: GroupStatus;
  /** The name of the owner whose it is. */
  readonly owner: string;
  /** 65 bytes: what the chip's group signatures have in common; of a device without a chip it begins with 0. */
  readonly pseudonym: Uint8Array;
  /** 65 bytes, of the newest handshake, or registered; zeros with a certificate. */
  readonly longtermKey: Uint8Array;
  readonly network: Prefix;
  readonly standing: DeviceStanding;
  /** Of a retired device: the address that its former chip took over. */
  readonly movedTo?: Uint8Array;
  readonly created: number;
  readonly handshake: { readonly at: number; readonly from: string };
  /** Where the newest handshake came from, see `Handshake`. */
  readonly country?: string;
  /** The same as finely as a database of cities said; absent where addresses are not kept. */
  readonly city?: City;
  /** The newest tunnel; `ended` is absent while it lasts. */
  readonly tunnel?: { readonly at: number; readonly from: string; readonly ended?: number };
  /** Of a fabric whose nodes have names. The name is the host's: no owner among several is to see it. */
  readonly attached?: Attached;
  /** What its agent has reported, and when; C clients report nothing. */
  readonly agent?: AgentReport;
}

/** `failure` is the last one reported, with the time it happened; a later report without any leaves it. */
export interface AgentReport {
  readonly at: number;
  readonly version: string;
  readonly failure?: { readonly code: string; readonly at: number };
}

/** Where an address is registered, as a database of cities says: somewhere around a point. */
export interface City {
  /** ISO 3166-1 alpha-2. */
  readonly country: string;
  readonly region?: string;
  readonly city?: string;
  /** In degrees. */
  readonly point: { readonly latitude: number; readonly longitude: number; readonly radiusKm: number };
}

export interface CountedCity extends City {
  /** Devices whose newest handshake came from there. */
  readonly devices: number;
}

/** One handshake, good or refused. */
export interface Handshake {
  readonly at: number;
  /** Address of the peer, without port. */
  readonly source: string;
  /** Where that address was registered when the handshake was written: ISO 3166-1 alpha-2, or "private". */
  readonly country?: string;
  /** The same as finely as a database of cities said then; absent where addresses are not kept. */
  readonly city?: City;
  readonly suite?: number;
  /** As claimed; only `proven` ones were verified. */
  readonly gid?: Uint8Array;
  readonly pseudonym?: Uint8Array;
  readonly proven: boolean;
  /** `ok` or the code of the failure. */
  readonly result: string;
  readonly address?: Uint8Array;
  /** Of one that is read: what the owner is called who had the group when it came; absent: nobody had. */
  readonly ownerName?: string;
}

/**
 * The result of a handshake that its client has left after the server's answer, having claimed nothing: nobody was refused. One of whose claim a byte
 * has come ends otherwise.
 */
export const ABANDONED = 'net.abandoned';

/** Handshakes with the same result that have no entry of their own any more. */
export interface HandshakeCount {
  readonly result: string;
  readonly times: number;
  /** Milliseconds since 1970, of the first and the last one. */
  readonly first: number;
  readonly last: number;
}

/** What a list of networks or groups is narrowed to. */
export interface TextFilter {
  /** Their name, or prefix or id as it is printed, has that in it; in lower case. */
  readonly text?: string;
}

/** What a list of devices is narrowed to. */
export interface DeviceFilter {
  /** 32 bytes. */
  readonly gid?: Uint8Array;
  readonly network?: Prefix;
  readonly kind?: DeviceKind;
  readonly standing?: DeviceStanding | 'suspended';
  /** `ended`: it had one; `offline`: it has none; as the registry has recorded it. */
  readonly tunnel?: 'open' | 'ended' | 'never' | 'offline';
  /** The code of the last failure that it has reported; `any`: whichever. */
  readonly failure?: string;
  /** The name of the node where its tunnel ends. */
  readonly node?: string;
  /** Of a group with a roster in force, on which it is not. */
  readonly roster?: 'outside';
  readonly search?: DeviceSearch;
}

/** What is searched for: each device that fulfils one of these. Addresses have 16 bytes. */
export interface DeviceSearch {
  /** How its name begins. */
  readonly name?: string;
  /** The last two bytes of its address. */
  readonly end?: Uint8Array;
  /** Its address lies between these. */
  readonly from?: Uint8Array;
  readonly to?: Uint8Array;
  /** Its name, its note, the name of its group or the last four groups of its address have that in them: three characters at least, in lower case. */
  readonly text?: string;
}

/** What a list of handshakes is narrowed to. */
export interface HandshakeFilter {
  readonly device?: Pick<Device, 'gid' | 'pseudonym'>;
  /** As claimed, 32 bytes. */
  readonly gid?: Uint8Array;
  /** `ok`, a code, or `refused`: all but `ok` and those that were left. */
  readonly result?: string;
}

/** How many devices there are, by what the registry has recorded. */
export interface Census extends StandingCounts {
  readonly networks: number;
  readonly groups: number;
  /** Of suspended groups, whatever else they are. */
  readonly suspended: number;
  /** With a tunnel that has not ended. */
  readonly connected: number;
}

/** How many handshakes there were. */
export interface HandshakeTally {
  readonly ok: number;
  readonly refused: number;
  /** See `ABANDONED`. */
  readonly abandoned: number;
}

/** Devices of a group, and those with a tunnel that has not ended. */
export interface GroupNumbers extends StandingCounts {
  readonly connected: number;
}

/** Devices of a group that came within a minute. */
export interface Arrival {
  /** The beginning of the minute, milliseconds since 1970. */
  readonly at: number;
  readonly devices: number;
}

/** What a verified claim asks of the registry. */
export interface Applicant {
  readonly gid: Uint8Array;
  readonly pseudonym: Uint8Array;
  readonly longtermKey: Uint8Array;
  /** 16 bytes; all zero: the fabric chooses. */
  readonly requested: Uint8Array;
  readonly source: string;
  readonly suite: number;
}

/** One change of state: who did what to which subject. It never contains a secret. */
export interface AuditEntry {
  readonly seq: number;
  /** Milliseconds since 1970. */
  readonly at: number;
  readonly actor: string;
  /** e.g. `device.ban`. */
  readonly action: string;
  readonly subject: string;
  readonly detail: Readonly<Record<string, unknown>>;
  /** What the owner is called whose it is; absent: it is the host's. It is no part of what is hashed. */
  readonly ownerName?: string;
  /** SHA-256(previous hash ‖ canonical row), 32 bytes; absent for who does not see the entries between: guesses could be tried on it. */
  readonly hash?: Uint8Array;
}

/** The newest audit entry and its hash: kept elsewhere, it finds a trail that was replaced. */
export interface AuditHead {
  readonly seq: number;
  readonly hash: Uint8Array;
}

/** What a registry holds. */
export interface RegistrySummary {
  readonly head: AuditHead;
  readonly networks: number;
  readonly groups: number;
  readonly devices: number;
}

/** Who acts, and when; recorded in the audit trail. */
export interface Act {
  readonly at: number;
  readonly actor: string;
}

/** A change as the registry records it. */
export type RecordedChange =
  | { readonly kind: 'device'; readonly address: Uint8Array }
  | { readonly kind: 'group'; readonly gid: Uint8Array }
  | { readonly kind: 'network'; readonly prefix: Prefix }
  | { readonly kind: 'node'; readonly name: string };

/**
 * What subscribers of the registry receive. `everything`: changes were missed, and what is known of any group or device may not be so any more; one of each
 * network and of each node follows it.
 */
export type Change = RecordedChange | { readonly kind: 'everything' };

/** A device's standing together with its group's. */
export function standingOf(device: Device): Standing {
  return device.standing === 'active' && device.groupStatus === 'suspended' ? 'suspended' : device.standing;
}

/** The first 20 hex digits of a GID in groups of four, as on the label, so that a person can compare. */
export function shortGid(gid: Uint8Array): string {
  return toHex(gid).slice(0, 20).match(/.{4}/g)!.join(' ');
}

/** A text as texts are searched: the same letters, however composed and whether large or small, of whatever alphabet. */
export const textKey = (text: string): string => text.normalize('NFC').toLowerCase();

/** A name as it is given, and the two ways in which its letters may be composed. */
export const writingsOf = (name: string): readonly [string, string, string] => [
  name,
  name.normalize('NFC'),
  name.normalize('NFD'),
];

/** Parses the prefix of a network: a /64 of global or unique local unicast. @throws Failure `fabric.bad-network`, `ipv6.bad-prefix`, `ipv6.bad-address` */
export function parseNetwork(text: string): Prefix {
  const prefix = parsePrefix(text);
  if (prefix.length !== 64 || !isInUnicast(prefix)) {
    throw new Failure(
      'fabric.bad-network',
      'operator',
      `a network is a /64 in 2000::/3 or fc00::/7, got ${formatPrefix(prefix)}`,
      { action: 'Give a prefix such as fd00:8f80:8000:1::/64.' },
    );
  }
  return prefix;
}

/** How many devices with a tunnel know of the newest roots. C devices cannot learn of them. */
export interface Learned {
  readonly newest: number;
  readonly older: number;
  readonly c: number;
}
