import { askControl, StatusError } from '../../os/net/control-socket.ts';
import { toHex } from '../../protocol/bytes.ts';
import { Failure, isFailure } from '../../protocol/failure.ts';
import { deserializeFailure, type SerializedFailure } from '../../protocol/failure-message.ts';
import { parseIpv6 } from '../../protocol/ipv6.ts';
import type { Contact, Performed, Presence, Running } from './contract/operation.ts';
import { askServing } from './contract/serving.ts';

/** The control socket of a fabric that serves, as another process uses it. */

/** How long a fabric may take for an operation. */
const TIMEOUT_MS = 60_000;

/** The path of an operation on the control socket. */
export const OPERATION_PATH = '/operations/';
/** The path that tells a fabric to look for changes of other processes. */
export const CHANGED_PATH = '/changed';
export const SESSIONS_PATH = '/sessions';
/** Sessions that are asked for at once: an answer stays far below the largest one of the control socket. */
export const SESSIONS_PER_PAGE = 1_000;

/** What the fabric is asked to do. */
export interface Call {
  readonly actor: string;
  /** Hash of the token on whose behalf it is called, 64 hex digits: the actor is its bearer then. */
  readonly token?: string | undefined;
  /**
   * The person on whose behalf it is called: the actor is that person then. `generation` is what its session began with, `proved` when the person
   * has last shown that it is there (milliseconds since 1970; absent: never).
   */
  readonly person?:
    | { readonly id: number; readonly generation: number; readonly proved?: number | undefined }
    | undefined;
  /** The name of the owner for whom it acts, if it may for several; absent: for the first of them, the host for all. */
  readonly owner?: string | undefined;
  readonly input: unknown;
}

/** What it answers. */
export type Reply = Performed | { readonly failure: SerializedFailure };

/**
 * Runs an operation in the fabric that listens on `socket`; undefined if none does, or one of a version that does not
 * know the operation. @throws Failure of the operation, `fabric.no-answer`, `control.not-permitted`
 */
export async function askRunning(socket: string, name: string, call: Call): Promise<Performed | undefined> {
  let reply: Reply;
  try {
    const question = { method: 'POST', path: `${OPERATION_PATH}${name}`, body: call };
    reply = (await askControl(socket, question, TIMEOUT_MS)) as Reply;
  } catch (error) {
    if (isFailure(error, 'control.nobody')) return undefined;
    if (isFailure(error, 'control.bad-answer')) {
      if (error.cause instanceof StatusError && error.cause.status === 404) return undefined;
      throw noAnswer(error);
    }
    throw error;
  }
  if ('failure' in reply) throw deserializeFailure(reply.failure);
  return reply;
}

function noAnswer(cause: Failure): Failure {
  return new Failure(
    'fabric.no-answer',
    'retry',
    `the running fabric did not answer: ${cause.message}. A change may still be made, completely or not at all`,
    {
      action:
        'See whether the fabric is still running, and look whether the change was made before you repeat the command.',
      cause,
    },
  );
}

/**
 * The fabric that may listen on `socket`, for whoever has opened the registry itself: because none was running, or one
 * of a version without operations.
 */
export function fabricBehind(socket: string): Running {
  return {
    notify: () => notifyRunning(socket),
    presence: () => connectedDevices(socket),
    learned: async () => (await askServing(socket))?.learned,
  };
}

/**
 * Tells a running fabric that the registry changed; it has acted on it when this returns. Returns the effect for a
 * person. Without an answer the change holds all the same: a fabric looks for changes by itself, or reads them when it
 * starts.
 */
async function notifyRunning(socket: string): Promise<string> {
  try {
    await askControl(socket, { method: 'POST', path: CHANGED_PATH });
    return 'in force';
  } catch (error) {
    if (isFailure(error, 'control.nobody')) return 'no fabric is serving';
    if (isFailure(error)) return `the fabric did not confirm it: ${error.message}`;
    throw error;
  }
}

const OFFLINE: Contact = { online: false };

/** Who reads the registry of the fabric behind `socket` beside it, and asks it for nothing but who is connected. */
export function besideFabric(socket: string): Pick<Running, 'presence'> {
  return {
    async presence(addresses) {
      const names = addresses.map(toHex);
      try {
        const question = { method: 'POST', path: SESSIONS_PATH, body: { addresses: names } };
        const answers = (await askControl(socket, question)) as readonly Contact[];
        const contacts = new Map(names.map((name, i) => [name, answers[i]]));
        return (address) => contacts.get(toHex(address)) ?? OFFLINE;
      } catch (error) {
        // One of a version that can only list them.
        if (isFailure(error)) return connectedDevices(socket);
        throw error;
      }
    },
  };
}

/** The connected devices, read page by page; a fabric of a version that knows no pages answers with all of them. */
async function connectedDevices(socket: string): Promise<Presence | undefined> {
  const connected = new Map<string, Contact>();
  let page: readonly { readonly address: string; readonly silentSinceMs?: number }[];
  let known: number;
  try {
    let after = '';
    do {
      known = connected.size;
      const path = `${SESSIONS_PATH}?limit=${SESSIONS_PER_PAGE}${after}`;
      page = (await askControl(socket, { method: 'GET', path })) as typeof page;
      for (const { address, silentSinceMs: silentSince } of page) {
        connected.set(toHex(parseIpv6(address)), {
          online: true,
          ...(silentSince !== undefined && { silentSince }),
        });
      }
      after = `&after=${page.at(-1)?.address}`;
    } while (page.length === SESSIONS_PER_PAGE && connected.size > known);
    return (address) => connected.get(toHex(address)) ?? OFFLINE;
  } catch (error) {
    if (isFailure(error)) return undefined;
    throw error;
  }
}
