import type { Page, PageRequest } from './pages.ts';

/** What an owner should look at. Each kind is about one subject at a time. */
export const ALARM_KINDS = [
  /** More devices of a group came than are expected: somebody issued more credentials. Subject: the group's id. */
  'group.over-announced',
  /** Devices of a group that is not admitted knock. Subject: the group's id, as claimed. */
  'group.knocking',
  /** Further devices of a group knock that has as many as it may have. Subject: the group's id. */
  'group.over-limit',
  /** New devices of a group knock from a country that it does not allow. Subject: the group's id. */
  'country.unexpected',
  /** Somebody else who holds the label of a group tries to claim it. Subject: the group's id. */
  'claim.objection',
  /** Members of a group that are not on its roster knock. Subject: the group's id. */
  'group.off-roster',
  /** Many devices of a group report the same failure. Subject: the group's id and the code. */
  'device.failing',
  /** One chip shook hands from two countries within a day. Subject: the address. */
  'device.two-countries',
  /** Two devices have one key. Subject: the address. */
  'device.twins',
  /** Many devices lost their tunnels within minutes. Subject: "fabric". */
  'fleet.dropped',
  /** A certificate of the fabric ends soon. Subject: its file. */
  'certificate.expiring',
  /** The certificate of an owner's CA ends soon. Subject: "CA N". */
  'ca.expiring',
  /** A token ends soon. Subject: "token N". */
  'token.expiring',
  /** A list of revoked certificates ends soon, is overdue, or cannot be fetched. Subject: "CA N". */
  'crl.expiring',
  /** The registry lacks entries that were written. Subject: "registry". */
  'registry.behind',
  /** Another database server took over without entries that were written. Subject: "timeline N", as PostgreSQL counts promotions. */
  'registry.failover',
  /** Two database servers take changes. Subject: "registry". */
  'registry.two-primaries',
  /** A database server has given no connection for minutes. Subject: its host and port. */
  'registry.server-lost',
  /** A standby lacks what was written minutes ago. Subject: its host and port. */
  'registry.standby-behind',
  /** The disk of the registry is almost full. Subject: the folder. */
  'disk.full-soon',
  /** The newest backup is old, or there is none though there are devices. Subject: "fabric". */
  'backup.old',
  /** A database of places was made long ago. Subject: its file. */
  'places.old',
  /** A node has said nothing for a while. Subject: its name. */
  'node.lost',
  /** A node drains for long. Subject: its name. */
  'node.draining',
  /** No other node learns which devices a node has. Subject: its name. */
  'node.routes-lost',
  /** The audit trail does not verify. Subject: "audit". */
  'audit.broken',
] as const;

export type AlarmKind = (typeof ALARM_KINDS)[number];

/** Something that is so now. */
export interface Finding {
  readonly kind: AlarmKind;
  /** Whom it concerns: the number of an owner, or `HOST`. */
  readonly owner: number;
  readonly subject: string;
  /** What a person needs to judge it; JSON. */
  readonly detail: Readonly<Record<string, unknown>>;
}

/** A database server that the registry may use, as it was at the last look. Times are milliseconds since 1970. */
export interface ServerState {
  /** Its host and port, or the folder of its socket. */
  readonly place: string;
  /** When it was looked at. */
  readonly at: number;
  /** It takes changes; false of a standby, and of one that is lost. */
  readonly primary: boolean;
  /** It is the one that is used. */
  readonly used: boolean;
  /** There is no connection to it, since when, and what it or the system says. */
  readonly lost?: { readonly since: number; readonly why: string };
  /** A standby lacks what the one that is used had then, and so many bytes of its log; absent of one that cannot follow it. */
  readonly behind?: { readonly since: number; readonly bytes?: number };
}

/** A finding and its history. Times are milliseconds since 1970. */
export interface Alarm extends Finding {
  readonly id: number;
  /** What that owner is called; absent: it is the host's. */
  readonly ownerName?: string;
  readonly opened: number;
  /** When it was last found. */
  readonly seen: number;
  readonly acknowledged?: { readonly by: string; readonly at: number };
  readonly ended?: number;
}

/** Where a program of the owner hears of alarms: an https: address, or mailto:. */
export interface Hook {
  readonly id: number;
  readonly name: string;
  readonly url: string;
  readonly createdBy: string;
  readonly created: number;
}

export interface Delivery {
  readonly id: number;
  readonly hook: number;
  /** e.g. `alarm.opened`. */
  readonly event: string;
  /** JSON. */
  readonly body: string;
  readonly created: number;
  readonly attempts: number;
  readonly status: 'waiting' | 'sent' | 'given-up';
  /** When it is tried next, or was last tried. */
  readonly at: number;
  /** Why it was not accepted at the last attempt. */
  readonly error?: string;
}

/** A delivery that is due, with where to and the key of its signature. */
export interface DueDelivery extends Delivery {
  readonly url: string;
  readonly secret: string;
}

/** What became of an attempt; `next`: when to try again. */
export type Attempt =
  | { readonly kind: 'sent' }
  | { readonly kind: 'later'; readonly next: number; readonly error: string }
  | { readonly kind: 'given-up'; readonly error: string };

/** Behind which failure the next page begins. */
export interface FailurePlace {
  readonly at: number;
  readonly row: number;
}

/** The last failures of some devices. */
export interface FailurePage {
  /** `gid`: of the device's group, 32 bytes; `owner`: whose the device is. */
  readonly rows: readonly { readonly gid: Uint8Array; readonly owner: number; readonly code: string }[];
  readonly next?: FailurePlace;
}

export interface AlarmReader {
  /** Newest first: those that are open, or those that have ended (the newest thousand are kept). */
  alarms(page: PageRequest, open: boolean): Promise<Page<Alarm>>;
  /** How many are open and nobody has acknowledged. */
  newAlarms(): Promise<number>;
  /** Oldest first; an owner has 20 at most, and the host. */
  hooks(): Promise<readonly Hook[]>;
  /** Newest first; of each hook the newest 500 are kept, also if it was removed. @throws Failure `fabric.unknown-hook` */
  deliveries(page: PageRequest, hook: number): Promise<Page<Delivery>>;
}

/** The alarms of an owner, and who hears of them. */
export interface OwnAlarms extends AlarmReader {
  /** False if somebody has already. That ends `registry.failover`: nothing else can tell that what was lost was done again. @throws Failure `fabric.unknown-alarm` */
  acknowledgeAlarm(actor: string, id: number): Promise<boolean>;
  /** @throws Failure `fabric.too-many-hooks` */
  addHook(actor: string, hook: Pick<Hook, 'name' | 'url'> & { readonly secret: string }): Promise<Hook>;
  /** It hears of that, and of nothing else from then on. @throws Failure `fabric.unknown-hook` */
  removeHook(actor: string, id: number): Promise<void>;
  /** Sends an event to try a hook. @throws Failure `fabric.unknown-hook` */
  testHook(actor: string, id: number): Promise<void>;
  /** Tries a delivery once more. @throws Failure `fabric.unknown-delivery` */
  retryDelivery(actor: string, id: number): Promise<void>;
}

/** What finds alarms, and sends them, whosever they are. */
export interface Alarms {
  /**
   * Opens what is found and not open, renews what is, and ends what is open, of one of `kinds`, and was not found for `holdMs`. At most
   * 50 of one kind are open for one owner.
   */
  recordFindings(kinds: readonly AlarmKind[], findings: readonly Finding[], holdMs: number): Promise<void>;
  /** Opens and ends what new entries of the audit trail tell of: a part of them; true if there are more. */
  followTrail(): Promise<boolean>;
  /** Groups of which more devices came than are expected; at most 50 of each owner. */
  overAnnounced(): Promise<readonly Finding[]>;
  /** Groups whose limits have kept devices out since a time, and still would; at most 50 of each kind and owner. */
  beyondLimits(since: number): Promise<readonly Finding[]>;
  /** The failures that devices have reported and that happened since a time, in pages of a thousand, the oldest first. */
  failures(since: number, after?: FailurePlace): Promise<FailurePage>;
  /** Tokens that end before `until`; at most 50 of each owner. */
  tokensEnding(until: number): Promise<readonly Finding[]>;
  /** Lists of revoked certificates that are overdue, or soon are without a newer one, and those that never could be fetched. */
  listsEnding(): Promise<readonly Finding[]>;
  /** CAs that end within so many days, or have ended; one that issues certificates also within the life of those, which it makes shorter. */
  casEnding(days: number): Promise<readonly Finding[]>;
  /** The database servers, if there are several, as this process saw them some seconds ago: nothing is asked. None before the first look, and of a registry in a file. */
  servers(): readonly ServerState[];
  /** The oldest of each hook that is due; owners take turns. */
  dueDeliveries(most: number): Promise<readonly DueDelivery[]>;
  recordAttempt(id: number, attempt: Attempt): Promise<void>;
}
