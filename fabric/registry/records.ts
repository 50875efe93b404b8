import type { Prefix } from '../../protocol/ipv6.ts';

/** A /64 from which devices get their addresses. */
export interface Network {
  readonly prefix: Prefix;
  readonly name: string;
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
  readonly status: GroupStatus;
  /** SHA-256 of the label's claim secret, if it had one. */
  readonly claimHash?: Uint8Array;
  readonly created: number;
}

/** Evicted: has to provision again, and may. Banned: may not until unbanned, whether evicted or not. */
export type DeviceStanding = 'active' | 'evicted' | 'banned';

/** One chip in one group. */
export interface Device {
  /** 16 bytes, never changes. */
  readonly address: Uint8Array;
  readonly gid: Uint8Array;
  readonly groupName: string;
  readonly groupStatus: GroupStatus;
  /** 65 bytes: what the chip's group signatures have in common. */
  readonly pseudonym: Uint8Array;
  /** 65 bytes, of the newest handshake. */
  readonly longtermKey: Uint8Array;
  readonly network: Prefix;
  readonly standing: DeviceStanding;
  readonly created: number;
  readonly handshake: { readonly at: number; readonly from: string };
  /** The newest tunnel; `ended` is absent while it lasts. */
  readonly tunnel?: { readonly at: number; readonly from: string; readonly ended?: number };
  /** What its agent has told of itself, and when; C clients tell nothing. */
  readonly agent?: AgentReport;
}

/** `failure` is the last one it has told of, with the time it happened; a later report without any leaves it. */
export interface AgentReport {
  readonly at: number;
  readonly version: string;
  readonly failure?: { readonly code: string; readonly at: number };
}

/** One handshake, good or refused. */
export interface Handshake {
  readonly at: number;
  /** Address of the peer, without port. */
  readonly source: string;
  readonly suite?: number;
  /** As claimed; only `proven` ones were verified. */
  readonly gid?: Uint8Array;
  readonly pseudonym?: Uint8Array;
  readonly proven: boolean;
  /** `ok` or the code of the failure. */
  readonly result: string;
  readonly address?: Uint8Array;
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

/** Who acts, and when; goes into the audit trail. */
export interface Act {
  readonly at: number;
  readonly actor: string;
}

/** What a running fabric hears of. */
export type Change =
  | { readonly kind: 'device'; readonly address: Uint8Array }
  | { readonly kind: 'group'; readonly gid: Uint8Array }
  | { readonly kind: 'network'; readonly prefix: Prefix };
