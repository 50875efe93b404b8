/** Whose it is what is no owner's: of whoever runs the fabric. */
export const HOST = 0;

/** The owner that every fabric has. */
export const DEFAULT_OWNER = 1;

/** What somebody sees and changes. It is made once for each request, where the caller is known, and everything that is read needs one. */
export interface Scope {
  /** Whose it is what is added: the number of an owner, or `HOST`. */
  readonly owner: number;
  /** Everything, whosever it is; else only what is of that owner. */
  readonly everything: boolean;
}

/** Of whoever runs the fabric. */
export const EVERYTHING: Scope = { owner: HOST, everything: true };

/** Of an owner. The only one there is also sees what is the host's: what was a fabric with one owner before there were several stays so. */
export const scopeOf = (owner: number, isOnly: boolean): Scope => ({ owner, everything: isOnly });
