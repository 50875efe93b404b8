import type { Failure } from '../../protocol/failure.ts';
import type { Page, PageRequest } from './pages.ts';
import type { Device, DeviceStanding } from './records.ts';

/** What is known of a roster before its rows: its manifest's signature was verified by the caller. */
export interface NewRoster {
  /** What the maker's key is known by, 32 bytes. */
  readonly maker: Uint8Array;
  /** That key, PEM. */
  readonly makerKey: string;
  /** Of its lines, 32 bytes. */
  readonly sha256: Uint8Array;
  readonly bytes: number;
  /** One line for each. */
  readonly devices: number;
  /** Those without a pseudonym: they cannot be told from others, and are not admitted. */
  readonly unnamed: number;
  /** Devices in a box: the first box has the first lines. */
  readonly perBox?: number;
  /** A device is called by its serial number when it comes for the first time, unless another has that name. */
  readonly names: boolean;
}

/** `arriving`: rows are missing; `indexing`: all are there; `in-force`: no others are admitted. */
export type RosterState = 'arriving' | 'indexing' | 'in-force';

/** The roster of a group. */
export interface Roster extends Omit<NewRoster, 'makerKey'> {
  readonly state: RosterState;
  /** Milliseconds since 1970, as all times here. */
  readonly created: number;
  /** Bytes of its lines that are kept. */
  readonly received: number;
  readonly indexed: number;
  /** Devices that are banned and have not been seen. */
  readonly banned: number;
  readonly inForce?: RosterInForce;
}

export interface RosterInForce {
  readonly since: number;
  /** Devices of the roster that have come. */
  readonly seen: number;
  /** Devices of the group that are not on the roster: they were there before it, and do not provision any more. */
  readonly outside: number;
}

/** Whether a group has a roster: it waits for one, and nobody gets in until then; or it has one, which may not be in force yet. */
export interface RosterStatus {
  readonly awaited: boolean;
  readonly roster?: Roster;
}

/** What a maker says of a device on a roster. */
export interface RosterEntry {
  readonly serial?: string;
  readonly box?: number;
  /** Whether its chip made the member's key and keeps it; else its secret is sealed in the chip, or in files. */
  readonly resident?: boolean;
}

/** A device of a roster. */
export interface RosterRow extends RosterEntry {
  /** From 1. */
  readonly line: number;
  /** 65 bytes. */
  readonly pseudonym?: Uint8Array;
  /** It is not let in; of a device that has come its standing counts. */
  readonly banned: boolean;
  /** Absent: it has not been seen. */
  readonly device?: {
    readonly address: Uint8Array;
    readonly name?: string;
    readonly standing: DeviceStanding;
    readonly created: number;
  };
}

/** The list of a roster, as its cursors name it. */
export const ROSTER_LIST = 'roster';
/** Behind which line: of a list in their order; of one by serial numbers, whose key stands before it in hex. */
export const ROSTER_CURSOR = /^(?:((?:[0-9a-f]{2})*)-)?(\d{1,9})$/;

/** Devices of a roster by serial number, by a range of them (either end included, or open), or by box. */
export interface RosterPart {
  readonly serial?: string;
  readonly from?: string;
  readonly to?: string;
  readonly box?: number;
}

/** What a list of a roster is narrowed to. */
export interface RosterFilter extends RosterPart {
  readonly seen?: boolean;
  /** Has come and is banned, or is not to come. */
  readonly banned?: boolean;
}

/** What was done to some devices of a roster. */
export interface RosterChange {
  readonly rows: number;
  readonly changed: number;
  readonly failures: readonly { readonly subject: string; readonly failure: Failure }[];
  /** For the following ones; undefined: there are no more. */
  readonly next: string | undefined;
}

export interface RosterReader {
  /** Public keys (PEM) of the makers of rosters that have come in force here, the newest ones: some dozens. */
  makerKeys(): Promise<readonly string[]>;
  /** Of a group, 32 bytes. @throws Failure `fabric.unknown-group` */
  roster(gid: Uint8Array): Promise<RosterStatus>;
  /**
   * The devices of the roster that is in force, in the order of its lines, or of the serial numbers if these narrow it. Narrowed pages are as those
   * of devices. @throws Failure `fabric.unknown-group`, `fabric.no-roster`
   */
  rosterRows(gid: Uint8Array, page: PageRequest, filter?: RosterFilter): Promise<Page<RosterRow>>;
  /** What the roster in force says of a device; undefined: there is none, or it is not on it. */
  rosterEntry(device: Pick<Device, 'gid' | 'pseudonym'>): Promise<RosterEntry | undefined>;
}

/** The rosters of an owner's groups. */
export interface OwnRosters extends RosterReader {
  /**
   * Begins to take a roster, or goes on with it. Returns how many bytes of its lines were taken since this program runs: the next part begins there.
   * One that has not come in force makes room for another.
   * @throws Failure `fabric.unknown-group`, `fabric.roster-exists`, `roster.other-maker`
   */
  beginRoster(actor: string, gid: Uint8Array, roster: NewRoster): Promise<{ readonly offset: number }>;
  /**
   * Takes the next part of the lines, which ends with a line; bytes that are kept already are only compared. Resolves when the next one may
   * come: it is kept then but for some rows, and all of it when the last part has come.
   * @throws Failure `fabric.unknown-group`, `roster.out-of-step`, `roster.bad-row`, `roster.changed`
   */
  addRosterPart(gid: Uint8Array, offset: number, part: Uint8Array): Promise<{ readonly offset: number }>;
  /**
   * Does the next part of what makes a whole roster one that can be looked up: some ten thousand rows; the last one puts it in force.
   * @throws Failure `fabric.unknown-group`, `roster.incomplete`, `roster.duplicate`
   */
  indexRoster(actor: string, gid: Uint8Array): Promise<void>;
  /**
   * Bans or unbans some devices of a roster, whether they have been seen or not: behind `after`, at most some hundred.
   * @throws Failure `fabric.unknown-group`, `fabric.no-roster`
   */
  setRosterStanding(
    actor: string,
    gid: Uint8Array,
    change: {
      readonly of: RosterPart;
      readonly change: 'ban' | 'unban';
      readonly after?: string | undefined;
    },
  ): Promise<RosterChange>;
  /** Takes the roster away, and the group does not wait for one: each of its members is admitted. @throws Failure `fabric.unknown-group`, `fabric.no-roster` */
  removeRoster(actor: string, gid: Uint8Array): Promise<void>;
}
