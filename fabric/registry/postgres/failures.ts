import { Failure, isFailure } from '../../../protocol/failure.ts';

/** What the server, or the way to it, says: `code` is an SQLSTATE (PostgreSQL's documentation, appendix A) or a system's error. */
export interface ServerError {
  readonly code: string;
  readonly message: string;
  readonly detail?: string;
}

/** An error of a statement that is the program's own fault. */
export class StatementError extends Error {
  readonly code: string;
  constructor({ code, message, detail }: ServerError) {
    super(detail === undefined ? message : `${message}: ${detail}`);
    this.code = code;
  }
}

/** Nothing was done: the connection ended before it was committed, or was never there. */
export const unreachable = (why: string, cause?: unknown): Failure =>
  new Failure('registry.unreachable', 'retry', `the registry's database server cannot be used: ${why}`, {
    action:
      'See that PostgreSQL runs and that this machine reaches it; "enf-fabric doctor" tries each address of the file "registry.url".',
    cause,
  });

/** The connection ended while it was committed, and no server says whether it was. */
export const outcomeUnknown = (cause: unknown): Failure =>
  new Failure(
    'registry.outcome-unknown',
    'retry',
    "the connection to the registry's database server ended while this was committed: it may have been done, or not",
    { action: 'Look whether it was done before you do it again.', cause },
  );

/** Classes of SQLSTATE: connection, operator intervention, transactions that were idle for too long, a standby that takes no changes, too many connections. */
const LOST = /^(08|57P|25P0[34]|25006|53300)/;
/** Five signs; what the system or TLS says of a socket has longer words, but for two. */
const SQLSTATE = /^(?!EPIPE|EPERM)[0-9A-Z]{5}$/;
/** The server has ended a statement that has waited for a lock for too long, or has taken too long itself. */
const LOCK_TIMEOUT = '55P03';
const STATEMENT_TIMEOUT = '57014';
/** Deadlock, serialization. */
const ROLLED_BACK = /^40/;
/** Who may connect, and what for. */
const FORBIDDEN = /^(28|3D000|3F000)/;
/** Insufficient privilege. */
const NOT_PERMITTED = '42501';

const isTooLong = (code: string): boolean => code === LOCK_TIMEOUT || code === STATEMENT_TIMEOUT;

/** The server has ended the statement since it, or the lock that it waited for, took too long: whoever asked has waited for that. */
export const tookTooLong = (error: unknown): error is Failure & { readonly cause: StatementError } =>
  isFailure(error) && error.cause instanceof StatementError && isTooLong(error.cause.code);

/** It was a lock that took too long. */
export const waitedForLock = ({ cause }: { readonly cause: StatementError }): boolean =>
  cause.code === LOCK_TIMEOUT;

/** A statement that took too long a moment ago was not asked again: unlike what the server has ended, that leaves the transaction as it was. */
export const notAskedAgain = (before: Failure): Failure =>
  new Failure('registry.locked', 'retry', `${before.message}; it is asked again in a moment`, {
    action: 'Try again; if it lasts, look at pg_stat_activity for who holds the lock.',
    cause: before,
  });

/** In place of an SQLSTATE: the server lacks what this node has seen (fence.mjs). */
const STALE = 'stale';
/** Likewise: a file that an address names cannot be read. */
const NO_FILE = 'file';

/** What a statement's error means for whoever asked. */
export function postgresFailure(error: ServerError): Error {
  const cause = new StatementError(error);
  const { code, message } = error;
  if (isTooLong(code) || ROLLED_BACK.test(code)) {
    return new Failure('registry.locked', 'retry', `the registry's database is busy (${code})`, {
      action: 'Try again; if it lasts, look at pg_stat_activity for who holds the lock.',
      cause,
    });
  }
  if (code === STALE) {
    return new Failure(
      'registry.diverged',
      'operator',
      `the registry's database server is not the one that was used: ${message}`,
      {
        action:
          'Start the server that has replaced it, and make this one its standby (docs/scale.md). If what it lacks is given up, run "enf-fabric audit --accept-loss".',
        cause,
      },
    );
  }
  if (code === NO_FILE) {
    return new Failure(
      'registry.bad-url',
      'operator',
      `a file that the address of the registry's database names cannot be read: ${message}`,
      {
        action:
          'Correct sslrootcert, sslcert or sslkey in the file "registry.url", or let the user of the fabric read that file; each node needs it.',
        cause,
      },
    );
  }
  if (code === '53100') {
    return new Failure(
      'os.disk-full',
      'retry',
      `the registry's database server has no space left (${code})`,
      {
        action: "Free space on the file system of PostgreSQL's data.",
        cause,
      },
    );
  }
  if (code === NOT_PERMITTED) {
    return new Failure(
      'registry.not-permitted',
      'operator',
      `this node's user of the registry's database may not do that: ${message}`,
      {
        action:
          'Do it at a node whose duty it is, as changes of an owner at one that serves the console; or correct what the user may do: "enf-fabric registry grants" (docs/scale.md).',
        cause,
      },
    );
  }
  if (FORBIDDEN.test(code)) {
    return new Failure(
      'registry.not-writable',
      'operator',
      `the registry's database refuses: ${message} (${code})`,
      {
        action:
          'Correct user, database and password in the file "registry.url", or what this user may do (docs/scale.md).',
        cause,
      },
    );
  }
  if (LOST.test(code) || !SQLSTATE.test(code)) return unreachable(`${message} (${code})`, cause);
  return cause;
}
