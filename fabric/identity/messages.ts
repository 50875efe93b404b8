import type { SerializedFailure } from '../../protocol/failure-message.ts';
import type { ServerKey } from '../../protocol/xtt/stateless.ts';
import type { Applicant, Group, Handshake } from '../registry/records.ts';
import type { Deadlines, Limits } from './limits.ts';

/**
 * The messages between the fabric's main process and its identity processes (the workers). They go over the socket pair that
 * `fork` makes: neither the server's key nor anything else of it is ever on a disk, in an argument or in the environment.
 */

/** The argument by which the program is an identity process. */
export const IDENTITY_PROCESS = 'identity-process';
/** The descriptor under which an identity process finds the listening socket. */
export const LISTENER_DESCRIPTOR = 4;

/** The first message to a worker. */
export interface WorkerConfig {
  readonly keys: readonly ServerKey[];
  readonly limits: Limits;
  readonly deadlines: Deadlines;
}

/** A call of the registry by a worker; the response has the same `id`. */
export type Request =
  | { readonly id: number; readonly method: 'openGroup'; readonly gid: Uint8Array }
  | {
      readonly id: number;
      readonly method: 'admit';
      readonly applicant: Applicant;
      /** See `HandshakeRegistry.admit`; whole microseconds arrive. */
      readonly waitedMs: number;
    }
  | {
      readonly id: number;
      readonly method: 'refused';
      readonly handshake: Omit<Handshake, 'at'>;
      readonly unlisted?: number | undefined;
    };

export type Response =
  | { readonly id: number; readonly value: Group | Uint8Array | undefined }
  | { readonly id: number; readonly failure: SerializedFailure };

/** What is sent most is packed into bytes (codec.ts), the rest is sent as it is. */
export interface Packed<T> {
  readonly rows: Uint8Array;
  readonly others: readonly T[];
}

export type ToWorker =
  | { readonly kind: 'config'; readonly config: WorkerConfig }
  | { readonly kind: 'responses'; readonly responses: Packed<Response> }
  /** A group changed: what is cached of groups may be wrong. */
  | { readonly kind: 'forget-groups' }
  | { readonly kind: 'keys'; readonly keys: readonly ServerKey[] }
  | { readonly kind: 'drain'; readonly graceMs: number };

export type FromWorker =
  | { readonly kind: 'ready'; readonly native: boolean }
  | { readonly kind: 'failed'; readonly failure: SerializedFailure }
  | { readonly kind: 'requests'; readonly requests: Packed<Request> }
  | { readonly kind: 'drained' };
