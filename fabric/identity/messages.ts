import { Failure, type Remedy } from '../../protocol/failure.ts';
import type { Applicant, Group, Handshake } from '../registry/records.ts';
import type { Packed } from './codec.ts';
import type { Limits } from './limits.ts';
import type { Deadlines } from './server.ts';

/**
 * What the fabric and its identity processes say to each other. It goes over the socket pair that came with the process:
 * neither the server's key nor anything else of it is ever on a disk, in an argument or in the environment.
 */

/** The argument by which the program is an identity process. */
export const IDENTITY_PROCESS = 'identity-process';
/** The descriptor under which an identity process finds the listening socket. */
export const LISTENER_DESCRIPTOR = 4;

/** The first word to a process. */
export interface Orders {
  readonly certificate: Uint8Array;
  readonly key: Uint8Array;
  readonly limits: Limits;
  readonly deadlines: Deadlines;
}

/** What a process asks of the registry; `id` names the answer. */
export type Question =
  | { readonly id: number; readonly ask: 'openGroup'; readonly gid: Uint8Array }
  | { readonly id: number; readonly ask: 'admit'; readonly applicant: Applicant }
  | { readonly id: number; readonly ask: 'refused'; readonly handshake: Omit<Handshake, 'at'> };

export type Answer =
  | { readonly id: number; readonly value: Group | Uint8Array | undefined }
  | { readonly id: number; readonly failure: FailureText };

export interface FailureText {
  readonly code: string;
  readonly remedy: Remedy;
  readonly message: string;
  readonly action?: string | undefined;
}

export type ToProcess =
  | { readonly kind: 'orders'; readonly orders: Orders }
  | { readonly kind: 'answers'; readonly answers: Packed<Answer> }
  /** A group changed. */
  | { readonly kind: 'forget' }
  | { readonly kind: 'drain'; readonly graceMs: number };

export type ToFabric =
  | { readonly kind: 'ready'; readonly native: boolean }
  | { readonly kind: 'failed'; readonly failure: FailureText }
  | { readonly kind: 'questions'; readonly questions: Packed<Question> }
  | { readonly kind: 'drained' };

/** A Failure as it travels; anything else is one of the program. */
export function failureText(error: unknown): FailureText {
  if (error instanceof Failure) {
    const { code, remedy, message, action } = error;
    return { code, remedy, message, action };
  }
  return { code: 'internal', remedy: 'retry', message: (error as Error).message };
}

/** The Failure as it was thrown in the other process. */
export function arrivedFailure({ code, remedy, message, action }: FailureText): Error {
  if (code === 'internal') return new Error(message);
  return new Failure(code, remedy, message, action === undefined ? {} : { action });
}

/** Sends what collects within one turn of the event loop as one message: a message costs more than what is in it. */
export function collector<T>(send: (items: readonly T[]) => void): (item: T) => void {
  let items: T[] = [];
  return (item) => {
    items.push(item);
    if (items.length > 1) return;
    setImmediate(() => {
      const collected = items;
      items = [];
      send(collected);
    });
  };
}
