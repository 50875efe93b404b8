import { Failure, type Remedy } from './failure.ts';

/** A Failure as it travels between processes: to a worker, or over a control socket. */
export interface SerializedFailure {
  readonly code: string;
  readonly remedy: Remedy;
  readonly message: string;
  readonly action?: string | undefined;
}

/** A Failure as it is sent; any other error gets the code `internal`. */
export function serializeFailure(error: unknown): SerializedFailure {
  if (error instanceof Failure) {
    const { code, remedy, message, action } = error;
    return { code, remedy, message, action };
  }
  return { code: 'internal', remedy: 'retry', message: (error as Error).message };
}

/** The Failure as it was thrown in the other process. */
export function deserializeFailure({ code, remedy, message, action }: SerializedFailure): Error {
  if (code === 'internal') return new Error(message);
  return new Failure(code, remedy, message, action === undefined ? {} : { action });
}
