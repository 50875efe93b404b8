import type { Failure } from '../../protocol/failure.ts';
import type { Prefix } from '../../protocol/ipv6.ts';
import type { Scope } from '../access/scope.ts';
import type { Identifier } from './address.ts';
import type { Admission, Listener } from './admission.ts';
import type { AlarmReader, Alarms, OwnAlarms } from './alarms.ts';
import type { Credentials } from './credentials.ts';
import type { DelegationReader, OwnDelegations } from './delegations.ts';
import type { Issuing, IssuingReader, OwnIssuing } from './issuing.ts';
import type { News } from './news.ts';
import type { Duty, Nodes, NodesReader } from './nodes.ts';
import type { Lent, Owners, OwnersReader } from './owners.ts';
import type { Page, PageRequest } from './pages.ts';
import type { OwnPeople, People, PeopleReader } from './people.ts';
import type { OwnPki, PkiLists, PkiReader } from './pki.ts';
import type { OwnPrivacy, PrivacyKeeper, PrivacyReader } from './privacy.ts';
import type { RateLimit, RateParty, Rates } from './rates.ts';
import type {
  Applicant,
  Arrival,
  AuditEntry,
  AuditHead,
  Census,
  Change,
  City,
  CountedCity,
  CountedGroup,
  Device,
  DeviceFilter,
  Group,
  GroupNumbers,
  GroupStatus,
  Handshake,
  HandshakeCount,
  HandshakeFilter,
  HandshakeTally,
  Network,
  StandingChange,
  TextFilter,
} from './records.ts';
import type { OwnRosters, RosterReader } from './rosters.ts';
import type { NewRule, Rule } from './rules.ts';
import type { OwnTokens, TokenReader, Tokens } from './tokens.ts';

/**
 * A registry, to be read by whoever has a scope. Nothing of an owner can be read without: what is not in it is as if it were not there, in lists,
 * numbers, searches and refusals alike.
 */
export interface RegistryReader extends OwnersReader, NodesReader {
  of(scope: Scope): OwnedReader;
  /** Recomputes the whole trail, page by page. @throws Failure `audit.broken` */
  verifyAudit(expected?: AuditHead): Promise<{ readonly entries: number; readonly head: Uint8Array }>;
  /**
   * Recomputes the next entries of the trail, a bounded number: behind one that was recomputed before, or from the first one on. Returns how far it came,
   * and whether that was the end. @throws Failure `audit.broken`
   */
  verifyAuditPart(from?: AuditHead): Promise<{ readonly head: AuditHead; readonly end: boolean }>;
  /**
   * `audit.behind` if newer entries were once written than the trail has, as far as the engine can know, `registry.diverged` if no other server is there
   * than one of which that is so; undefined otherwise.
   */
  missing(): Failure | undefined;
  /** Commits what waits, and closes. */
  close(): Promise<void>;
}

/** What is read elsewhere. */
export interface Replica {
  /** It has everything that was committed by then; milliseconds since 1970. */
  readonly asOf: number;
  of(scope: Scope): OwnedReader;
}

/** What is read in a scope. Every list is read in pages. */
export interface OwnedReader
  extends TokenReader,
    PeopleReader,
    AlarmReader,
    PrivacyReader,
    RosterReader,
    PkiReader,
    DelegationReader,
    IssuingReader {
  readonly scope: Scope;
  /** Oldest first. @throws Failure `fabric.bad-cursor`, as all pages */
  networks(page: PageRequest, filter?: TextFilter): Promise<Page<Network>>;
  /** Where networks are added in this scope. */
  lent(): Promise<Lent>;
  /** The prefix of the network of this name, or with this prefix. @throws Failure `fabric.unknown-network`, `fabric.ambiguous-network`, `fabric.bad-network`, `ipv6.bad-prefix` */
  network(text: string): Promise<Prefix>;
  /** The rules of a network in the order in which they are asked; none if there is no such network. */
  rules(network: Prefix, page: PageRequest): Promise<Page<Rule>>;
  /** The rate limits of a network, those of more devices first; none if there is no such network. */
  rateLimits(network: Prefix, page: PageRequest): Promise<Page<RateLimit>>;
  /** Those that say what this device may: few. */
  rateLimitsFor(device: Device): Promise<readonly RateLimit[]>;
  /** Oldest first. Narrowed pages are as those of devices. */
  groups(page: PageRequest, filter?: TextFilter): Promise<Page<CountedGroup>>;
  /** The one group whose id begins with these hex digits, or else that is called so. @throws Failure `fabric.unknown-group`, `fabric.ambiguous-group` */
  group(text: string): Promise<Group>;
  /**
   * Oldest first. A page of a narrowed list may have fewer rows than asked for, even none, and yet a `next`: no call looks at more than some
   * thousand rows.
   */
  devices(page: PageRequest, filter?: DeviceFilter): Promise<Page<Device>>;
  /** The address of the device of this name. @throws Failure `fabric.unknown-device` */
  deviceNamed(name: string): Promise<Uint8Array>;
  /** The address of the device of this name in the network of which `prefix` is the first 8 bytes. */
  addressIn(prefix: Uint8Array, name: string): Promise<Uint8Array | undefined>;
  /** @throws Failure `fabric.unknown-device` */
  device(address: Uint8Array): Promise<Device>;
  /** When two devices were last found to have this one's key: `detail.from` lists where they connect from. */
  clonesOf(address: Uint8Array): Promise<AuditEntry | undefined>;
  /** Newest first. Of each device only the newest ones are kept. Narrowed pages are as those of devices. */
  handshakes(page: PageRequest, filter?: HandshakeFilter): Promise<Page<Handshake>>;
  /** The handshakes that are not in that list any more, or never were: those of one device, or of those who have proven nothing. */
  handshakeCounts(device?: Device): Promise<readonly HandshakeCount[]>;
  census(): Promise<Census>;
  /** All handshakes since a time by hour: both milliseconds since 1970, of the beginning of an hour. At most 90 days of them are known. */
  hourTallies(since: number): Promise<ReadonlyMap<number, HandshakeTally>>;
  /** The same by country (see `Handshake`). */
  countryTallies(since: number): Promise<ReadonlyMap<string | undefined, HandshakeTally>>;
  /** How many devices had their newest handshake from which country. */
  deviceCountries(): Promise<ReadonlyMap<string, number>>;
  /** Where most devices are, by their newest handshakes as a database of cities places them; those with the most first. */
  deviceCities(most: number): Promise<readonly CountedCity[]>;
  /** When the devices of a group (32 bytes) came, oldest first; the newest `most` minutes (10,000) in which any came. */
  arrivals(gid: Uint8Array, most?: number): Promise<readonly Arrival[]>;
  /** Of a group, 32 bytes. */
  groupNumbers(gid: Uint8Array): Promise<GroupNumbers>;
  /** The refused handshakes of a group that nobody had admitted, for who has its label; nothing if it is another owner's now. Newest first. */
  knocks(gid: Uint8Array, most: number): Promise<readonly Handshake[]>;
  /** Newest first; of one subject, as its entries name it, if that is given. */
  audit(page: PageRequest, subject?: string): Promise<Page<AuditEntry>>;
}

/** What is read and changed in a scope: what it adds is its owner's. */
export interface OwnedRegistry
  extends OwnedReader,
    OwnPeople,
    OwnTokens,
    OwnAlarms,
    OwnRosters,
    OwnPki,
    OwnPrivacy,
    OwnDelegations,
    OwnIssuing {
  /** @throws Failure `fabric.network-exists`, `fabric.prefix-not-lent`, `fabric.prefix-in-use`, `fabric.unknown-owner` */
  addNetwork(actor: string, prefix: Prefix, name: string, note?: string): Promise<Network>;

  /**
   * Adds a rule at a place, last unless given; those from there on come behind it.
   * @throws Failure `fabric.unknown-network`, `fabric.too-many-rules`; `fabric.bad-rule` if its devices are not in the network, or it names what is
   * another owner's
   */
  addRule(actor: string, network: Prefix, rule: NewRule, place?: number): Promise<Rule>;
  /** Moves a rule to a place, at most the last one; the others keep their order. @throws Failure `fabric.unknown-rule` */
  moveRule(
    actor: string,
    id: number,
    place: number,
  ): Promise<{ readonly rule: Rule; readonly changed: boolean }>;
  /** @throws Failure `fabric.unknown-rule` */
  removeRule(actor: string, id: number): Promise<Rule>;

  /**
   * Changes the values of a rate limit that are given, and leaves the others as they are; it is gone if it is one of all devices and says nothing then. Who may
   * set the most that the host allows, nobody looks at here. Returns what is so now.
   * @throws Failure `fabric.unknown-network`, `fabric.bad-limit` if it names what is not in the network, `fabric.limit-above-max`, `fabric.too-many-limits`
   */
  setRateLimit(actor: string, network: Prefix, party: RateParty, change: Rates): Promise<RateLimit>;
  /** Returns what it was. @throws Failure `fabric.unknown-network`, `fabric.unknown-limit` */
  removeRateLimit(actor: string, network: Prefix, party: RateParty): Promise<RateLimit>;

  /** @throws Failure `fabric.unknown-network`, `fabric.group-exists`, `fabric.group-claimed` */
  addGroup(actor: string, group: NewGroup): Promise<Group>;
  /** False if it had that status already. @throws Failure `fabric.unknown-group` */
  setGroupStatus(actor: string, gid: Uint8Array, status: GroupStatus): Promise<boolean>;

  /** Changes what is given. @throws Failure `fabric.unknown-group` */
  changeGroup(actor: string, gid: Uint8Array, change: GroupChange): Promise<void>;
  /** Its note stays unless one is given; an empty text removes it. @throws Failure `fabric.unknown-network` */
  renameNetwork(actor: string, prefix: Prefix, name: string, note?: string): Promise<void>;
  /** Gives a network the domain of its devices' names, or takes it away. @throws Failure `fabric.unknown-network` */
  setZone(actor: string, prefix: Prefix, zone: string | undefined): Promise<void>;
  /** Whether only devices come in whose chips keep their keys, as a roster says; those that are in stay until they provision. @throws Failure `fabric.unknown-network` */
  setResidentOnly(actor: string, prefix: Prefix, residentOnly: boolean): Promise<void>;
  /** Changes what is given; an empty text removes it. @throws Failure `fabric.unknown-device`, `fabric.name-exists` */
  nameDevice(actor: string, address: Uint8Array, change: DeviceNames): Promise<void>;

  /** False if there was nothing to do. @throws Failure `fabric.unknown-device`, `fabric.device-retired` */
  setStanding(actor: string, address: Uint8Array, change: StandingChange): Promise<boolean>;
  /** @throws Failure `fabric.unknown-network`, `fabric.network-not-empty` */
  removeNetwork(actor: string, prefix: Prefix): Promise<void>;
  /** @throws Failure `fabric.unknown-group`, `fabric.group-not-empty` */
  removeGroup(actor: string, gid: Uint8Array): Promise<void>;
  /**
   * Refuses a device for ever; its address stays reserved, its name is free again. False if it was retired already.
   * @throws Failure `fabric.unknown-device`
   */
  retireDevice(actor: string, address: Uint8Array): Promise<boolean>;
  /**
   * The chip of the device at `to` takes over the address `from`, with its name and note; the chip that had it is retired, with the
   * address `to`, whose identity is told to provision again.
   * @throws Failure `fabric.unknown-device`, `fabric.same-device`, `fabric.other-network`, `fabric.device-retired`, `fabric.device-banned`
   */
  replaceDevice(actor: string, from: Uint8Array, to: Uint8Array): Promise<void>;
  /**
   * The device with this key, which it may have had already. One without a chip that had another key at the address gets in with that no more.
   * @throws Failure `fabric.unknown-network`, `fabric.unknown-owner`, `fabric.not-resident`, `fabric.address-taken`, `fabric.group-full`, `fabric.device-banned`,
   * `fabric.device-retired`, `fabric.device-evicted`, `fabric.network-full`
   */
  registerKey(actor: string, key: NewKey): Promise<Device>;
  /** How many devices are suspended or banned, of all owners: the router tells them together when to come again. */
  excluded(): number;
  /** Records what somebody has done that is not in the registry itself, such as with jobs. */
  record(
    actor: string,
    action: string,
    subject: string,
    detail?: Readonly<Record<string, unknown>>,
  ): Promise<void>;
}

/**
 * Which device may have which address, and every change of that. Each engine keeps the contract of
 * test/fabric/registry/contract.ts. A change is on the disk when its promise resolves, and has happened completely or
 * not at all; `actor` is recorded in the audit trail.
 *
 * What an owner reads and changes is asynchronous, since an engine may be a database server. The methods of
 * `Admission`, which the router calls between two packets of a peer, answer at once: an engine that cannot read within
 * the call answers from memory, which it keeps up to date by the changes that it also gives to subscribers; what the
 * router records is written later, in order.
 */
export interface Registry
  extends RegistryReader,
    Admission,
    Owners,
    Tokens,
    People,
    Credentials,
    News,
    Nodes,
    Alarms,
    PkiLists,
    PrivacyKeeper,
    Issuing {
  of(scope: Scope): OwnedRegistry;
  /**
   * A copy elsewhere that has everything that was committed by now, for what reads much; undefined: there is none, or it is behind. It may go away
   * while it is read: then it fails with whatever the engine says.
   */
  replica(): Promise<Replica | undefined>;
  /** True while a tunnel of the device ends at this process's router. */
  isConnected(address: Uint8Array): boolean;

  /** The group if its devices may provision. @throws Failure `fabric.group-not-admitted`, `fabric.group-suspended` */
  openGroup(gid: Uint8Array): Promise<Group>;
  /**
   * Admits a verified chip; resolves to its 16-byte address. @throws Failure `fabric.group-not-admitted`,
   * `fabric.group-suspended`, `fabric.group-full`, `fabric.country-unexpected`, `fabric.roster-awaited`, `fabric.not-on-roster`, `fabric.not-resident`,
   * `fabric.device-banned`, `fabric.device-retired`, `fabric.address-not-yours`, `fabric.network-full`
   */
  admit(applicant: Applicant): Promise<Uint8Array>;
  /** Calls `listener` with each address that `admit` is about to resolve to. Returns a function that ends the subscription. */
  onAdmitted(listener: (address: Uint8Array) => void): () => void;
  /** Appends a refused handshake to the history; `unlisted` more like it are only counted. */
  refused(handshake: Omit<Handshake, 'at'>, unlisted?: number): Promise<void>;
  /** Records what somebody has done that is not in the registry itself: to the fabric's keys. */
  record(
    actor: string,
    action: string,
    subject: string,
    detail?: Readonly<Record<string, unknown>>,
  ): Promise<void>;
  /**
   * Records that the registry was put back to an earlier state, of which `detail` tells. From then on the keys that devices have here count as
   * outdated until their next handshake, and `missing` has nothing more to say.
   */
  recordRestore(actor: string, detail: Readonly<Record<string, unknown>>): Promise<void>;

  /**
   * Calls `listener` for every change, made by this process or another, once it is durable and `catchUp` has read it. A group's
   * change is one, whatever the number of its devices. Whoever reads so late that changes are gone is told that each network and each
   * group has changed. Returns a function that ends the subscription.
   */
  subscribe(listener: Listener<Change>): () => void;
  /** Reads the changes that other processes made and passes them to the subscribers; resolves when these have acted on them. */
  catchUp(): Promise<void>;
  /**
   * For the one process that serves, or each node of several: ends the tunnels that a crash has left recorded as up (if they are many, most of them
   * later; once it has joined those of this node alone), calls `catchUp` every `periodMs`, in case a notification is lost, and removes changes that it has read. Returns a function that
   * stops that.
   */
  follow(periodMs: number): Promise<() => void>;
}

/** `status`: active unless given. `maker`: it waits for a roster of the maker whose key is known by this, 32 bytes; nobody gets in until then. */
export type NewGroup = Omit<Group, 'status' | 'created' | 'owner' | 'ownerName' | 'anchor' | 'keys'> &
  Partial<Pick<Group, 'status'>> & { readonly maker?: Uint8Array };

/** A key whose holder is to be a device, whatever certificate it wraps it in. */
export interface NewKey {
  readonly network: Prefix;
  /** 16 bytes, in the network; absent: one that follows from the key. */
  readonly address?: Uint8Array;
  /** 65 bytes, on P-256. */
  readonly key: Uint8Array;
}

/** `announced`, `most`: 0 removes it, as an empty list does `countries`. */
export interface GroupChange {
  readonly name?: string;
  readonly announced?: number;
  readonly most?: number;
  readonly countries?: readonly string[];
}

export interface DeviceNames {
  readonly name?: string;
  readonly note?: string;
}

export interface RegistryOptions {
  /** Where an address is registered, for the handshakes that are written; nobody knows unless given. */
  readonly locate?: (source: string) => string | undefined;
  /** The same as finely as a database of cities says. */
  readonly cityOf?: (source: string) => City | undefined;
  /** Milliseconds since 1970. */
  readonly now?: () => number;
  /** The same by the clock that all nodes have in common: unless given that of the database server, or of this host if the registry is in a file. */
  readonly nodesNow?: () => number;
  /** Until what failed to be written of tunnels is tried again, in milliseconds, if not as sql/tunnels.ts has it. */
  readonly retryMs?: number;
  /** Replaced in tests, where two chips must collide. */
  readonly identifier?: Identifier;
  /** It is opened to give up what it lacks: a server that would be refused for that is used. */
  readonly givesUp?: boolean;
  /** How many of the newest handshakes are kept even if they were refused and prove nothing. */
  readonly refusalsKept?: number;
  /** From the beginning of one commit to a file to that of the next, in milliseconds, if not as sqlite/group-commit.ts has it. A database server has its own pace. */
  readonly commitEveryMs?: number;
  /** What this process serves: all, unless given. What is done for all of the registry by itself is done by those that serve the console. */
  readonly serves?: readonly Duty[];
  /** Receives errors that have no caller. */
  readonly onError?: (error: unknown) => void;
}

/** The actor of what the fabric does by itself, in the audit trail. */
export const FABRIC = 'fabric';
