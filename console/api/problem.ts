/** What the API answers instead of a result (RFC 9457). */
export class Problem extends Error {
  /** Stable and dotted, e.g. `fabric.unknown-device`; docs/errors.md lists them. */
  readonly code: string;
  /** 0: the console did not answer. */
  readonly status: number;
  /** What to do. */
  readonly action: string;
  /** May it be gone the next time, without anybody's help? */
  readonly passes: boolean;

  constructor(code: string, status: number, message: string, action: string, passes = false) {
    super(begun(message));
    this.code = code;
    this.status = status;
    this.action = action;
    this.passes = passes;
  }
}

/** As a sentence begins: a failure goes on behind a program's name elsewhere. What is no plain word, such as an address, stays as it is. */
export const begun = (message: string): string =>
  /^[a-z]+(?![\w.:@/-])/.test(message) ? message.charAt(0).toUpperCase() + message.slice(1) : message;

/** Any error as a problem, so that a page can show it. */
export function problemOf(error: unknown): Problem {
  if (error instanceof Problem) return error;
  return new Problem('console.error', 0, (error as Error).message, 'Load the page again.');
}
