declare const acceptorBrand: unique symbol;

/** A TCP server that the addon holds; closed when collected. */
export interface AcceptorHandle {
  readonly [acceptorBrand]: true;
}

/**
 * `message`: a whole message. `bad-header`: four bytes that are none of the known headers. `timeout`, `closed`: a peer that
 * had sent something was late with the rest, or closed or lost the connection. `left`: a peer that was answered closed the connection in order
 * and had sent nothing of a next message. `over-limit`: a connection was refused, or one that had been
 * answered was closed for a new one, because of the limits (it has no id).
 */
export type AcceptorEventKind = 'message' | 'bad-header' | 'timeout' | 'closed' | 'left' | 'over-limit';

/** The addon's TCP server of short framed exchanges. A bad argument is a TypeError. */
export interface AcceptorFace {
  /**
   * Serves framed exchanges on a listening socket, which it takes over. A message begins with one of the known 4-byte
   * `headers` (back to back; bytes 1–2 announce its whole length, at most 4,096). A peer has `helloMs` for its first message,
   * after each `acceptorAnswer` `claimMs` for the next one, and after `acceptorFinish` `lingerMs` to close. After any event with
   * an id nothing is read from that connection until one of these two is called; one of them must be.
   *
   * At most `perSource` connections of an IPv4 address or IPv6 /64: a new one takes the place of one of its source that has
   * been silent for a second, or answered for five, or else gets `refusal`. At most `total` of all: a new one takes the place
   * of the oldest of the most crowded prefix (native/backlog), of the silent ones as long as they hold more than a quarter,
   * then of those that have got their last message, then of those that were answered, which get `refusal`. A peer that sends
   * nothing within `helloMs` gets `refusal`, too, without an event.
   *
   * `onEvent(kind, id, source address, tag given to acceptorAnswer or 0, whether it had been answered, bytes)`; the bytes are
   * the message, or the bad header, else none.
   * @throws Error EMFILE
   */
  acceptorOpen(
    listener: number,
    headers: Uint8Array,
    refusal: Uint8Array,
    total: number,
    perSource: number,
    helloMs: number,
    claimMs: number,
    lingerMs: number,
    onEvent: (
      kind: AcceptorEventKind,
      id: number,
      source: string,
      tag: number,
      answered: boolean,
      bytes: Uint8Array,
    ) => void,
  ): AcceptorHandle;
  /**
   * Sends `message` and awaits the next one; `tag` (0–255) comes back with later events. Does nothing if the connection is
   * closed.
   */
  acceptorAnswer(acceptor: AcceptorHandle, id: number, message: Uint8Array, tag: number): void;
  /**
   * Sends the last message (perhaps empty) and closes once the peer has, or after `lingerMs`. Does nothing if the connection
   * is closed.
   */
  acceptorFinish(acceptor: AcceptorHandle, id: number, lastMessage: Uint8Array): void;
  /** Handles timeouts: to be called a few times a second. */
  acceptorTick(acceptor: AcceptorHandle): void;
  /** Accepts no more, and closes connections whose first message is not complete. */
  acceptorStopAccepting(acceptor: AcceptorHandle): void;
  /** Closes everything at once and for good; allowed any number of times and inside the callback. */
  acceptorClose(acceptor: AcceptorHandle): void;
  /** The number of open connections. */
  acceptorCount(acceptor: AcceptorHandle): number;
}
