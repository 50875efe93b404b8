import type { ServerState } from '../alarms.ts';

/** A server that has answered (`Found` in fence.mjs), or why there was no connection. */
export type Seen = There | { readonly place: string; readonly used: boolean; readonly why: string };

export interface There {
  readonly place: string;
  readonly used: boolean;
  readonly system: string;
  /** Absent of a standby. */
  readonly timeline?: number;
  /** Bytes. */
  readonly log: number;
}

/** Keeps since when servers are as they are; they come in the same order each time. */
export function serverStates(): (seen: readonly Seen[], now: number) => readonly ServerState[];
