import type { AcceptorEventKind } from '../../native/acceptor/acceptor.ts';
import { addon } from '../../native/index.ts';

/** One thing that happened on a connection. */
export interface AcceptorEvent {
  readonly kind: AcceptorEventKind;
  /** Names the connection until it is closed. */
  readonly id: number;
  /** Address of the peer, without zone and port. */
  readonly source: string;
  /** What {@link Acceptor.answer} was given, 0 before. */
  readonly tag: number;
  /** True once the peer was answered. */
  readonly answered: boolean;
  /** The message, or the bad header; else empty. */
  readonly bytes: Uint8Array;
}

export interface AcceptorOptions {
  /** Known 4-byte headers, back to back. */
  readonly headers: Uint8Array;
  /** Sent to connections beyond the limits, to answered ones that are closed for new ones, and to peers that send nothing in time. */
  readonly refusal: Uint8Array;
  readonly total: number;
  readonly perSource: number;
  readonly helloMs: number;
  readonly claimMs: number;
  readonly lingerMs: number;
  readonly onEvent: (event: AcceptorEvent) => void;
}

/**
 * A TCP server of short framed exchanges. Nothing is read from a connection between an event and the `answer` or `finish`
 * that must follow it.
 */
export interface Acceptor {
  /** Sends `message` and waits for the next one; `tag` is 0 to 255. */
  answer(id: number, message: Uint8Array, tag: number): void;
  /** Sends the last message, perhaps an empty one, and closes in order. */
  finish(id: number, lastMessage: Uint8Array): void;
  /** Accepts no more, and closes connections whose first message is not complete. */
  stopAccepting(): void;
  /** Closes everything at once. */
  close(): void;
  /** The number of open connections. */
  readonly open: number;
}

/** How often timeouts are looked for. */
const TICK_MS = 100;

/** True if the addon with its acceptor can be loaded. */
export function hasNativeAcceptor(): boolean {
  try {
    return typeof addon().acceptorOpen === 'function';
  } catch {
    return false;
  }
}

/** Opens a listening socket on a literal address. @throws Error with the `code` of the errno */
export function openListener(host: string, port: number): { descriptor: number; port: number } {
  const descriptor = addon().listenerOpen(host, port);
  return { descriptor, port: addon().listenerPort(descriptor) };
}

/** The addon's acceptor: some hundred bytes for each connection. It takes the listening socket over. */
export function nativeAcceptor(descriptor: number, options: AcceptorOptions): Acceptor {
  const native = addon();
  const { headers, refusal, total, perSource, helloMs, claimMs, lingerMs, onEvent } = options;
  const acceptor = native.acceptorOpen(
    descriptor,
    headers,
    refusal,
    total,
    perSource,
    helloMs,
    claimMs,
    lingerMs,
    (kind, id, source, tag, answered, bytes) => onEvent({ kind, id, source, tag, answered, bytes }),
  );
  const tick = setInterval(() => native.acceptorTick(acceptor), TICK_MS);
  return {
    answer: (id, message, tag) => native.acceptorAnswer(acceptor, id, message, tag),
    finish: (id, lastMessage) => native.acceptorFinish(acceptor, id, lastMessage),
    stopAccepting: () => native.acceptorStopAccepting(acceptor),
    close() {
      clearInterval(tick);
      native.acceptorClose(acceptor);
    },
    get open() {
      return native.acceptorCount(acceptor);
    },
  };
}
