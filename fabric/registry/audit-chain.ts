/** How the entries of the audit trail hang together, for whoever writes them and whoever checks them. */

/** A row of the trail; `detail` is the JSON text as it is stored. */
export interface ChainRow {
  readonly seq: number;
  /** Milliseconds since 1970. */
  readonly at: number;
  readonly actor: string;
  readonly action: string;
  readonly subject: string;
  readonly detail: string;
}

/** What stands before the first entry: 32 zeros. */
export const GENESIS = new Uint8Array(32);

/** A row's hash is SHA-256(hash of the row before ‖ this text in UTF-8): a JSON array of the fields in the order of the table. */
export const canonicalText = ({ seq, at, actor, action, subject, detail }: ChainRow): string =>
  JSON.stringify([seq, at, actor, action, subject, detail]);
