import type { AuditEntry, Handshake, RecordedChange } from './records.ts';

/** How far somebody has read what happens: the newest number of each kind. */
export interface NewsPosition {
  readonly change: number;
  readonly handshake: number;
  readonly audit: number;
  /** Of tunnels that begin and end; begins anew with each process. */
  readonly tunnel: number;
}

/** A thing of the registry with its owner's number; `HOST`: nobody's, or nobody knows any more. */
export type OwnedNews<Row> = Row & { readonly owner: number };

/** What is new since a position, oldest first. */
export interface NewsSince {
  readonly position: NewsPosition;
  /** Of devices, groups and networks; a tunnel that began or ended is a change of its device. */
  readonly changes: readonly OwnedNews<RecordedChange>[];
  readonly handshakes: readonly OwnedNews<Handshake>[];
  /** Handshakes between those and the position that are left out: there were too many. The newest of each owner is there. */
  readonly skipped: number;
  readonly audit: readonly OwnedNews<AuditEntry>[];
  readonly missed: Missed;
}

/**
 * The owners of whom changes or entries of the audit trail are left out, `HOST` for nobody's: whoever needs them reads the lists anew. `all`: nobody
 * knows any more whose they were.
 */
export type Missed = readonly number[] | 'all';

/** For whoever watches; truth is in the lists. */
export interface News {
  newsPosition(): Promise<NewsPosition>;
  /** At most `most` of each kind, the newest of some; there may be more behind the position. */
  newsSince(since: NewsPosition, most: number): Promise<NewsSince>;
}
