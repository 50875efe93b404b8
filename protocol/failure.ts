/**
 * What the caller does about a failure, and the only thing that decides it.
 *
 * - `retry`: transient or not provably permanent; back off with full jitter and try again.
 * - `reprovision`: only on a verdict the fabric authenticated: run the XTT handshake again.
 * - `operator`: nothing a program can do; stay alive and say what a person has to do.
 */
export type Remedy = 'retry' | 'reprovision' | 'operator';

export interface FailureOptions {
  /** One imperative sentence for the person who reads it: what to do now. */
  readonly action?: string;
  readonly cause?: unknown;
  /** The message without the value that was refused, if that value may be a secret: for what goes to others. */
  readonly publicMessage?: string;
}

/**
 * The one way to fail. `code` is dotted, stable and documented in docs/errors.md (a test compares both).
 * `message` names the field, what was expected and what came. Never put a secret in it.
 * Programming mistakes stay plain `Error`.
 */
export class Failure extends Error {
  override readonly name = 'Failure';
  readonly code: string;
  readonly remedy: Remedy;
  readonly action: string | undefined;
  /** What others may read. */
  readonly publicMessage: string;

  constructor(code: string, remedy: Remedy, message: string, options: FailureOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.remedy = remedy;
    this.action = options.action;
    this.publicMessage = options.publicMessage ?? message;
  }

  /** What failed: see `areaOf`. */
  get area(): string {
    return areaOf(this.code);
  }
}

/** The area of a failure code, its part before the dot: `tpm` of "tpm.absent". Decisions about a whole area compare this. */
export function areaOf(code: string): string {
  return code.slice(0, code.indexOf('.'));
}

/** What `work` returns, or the Failure that it throws; other errors pass. */
export function orFailure<T>(work: () => T): T | Failure {
  try {
    return work();
  } catch (error) {
    if (isFailure(error)) return error;
    throw error;
  }
}

/** True if `error` is a Failure with this code. */
export function isFailure(error: unknown, code?: string): error is Failure {
  return error instanceof Failure && (code === undefined || error.code === code);
}
