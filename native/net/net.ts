declare const socketBrand: unique symbol;
declare const doorBrand: unique symbol;

/** A TCP socket that the addon holds until `socketTake`; closed when collected. */
export interface SocketHandle {
  readonly [socketBrand]: true;
}

/** A TCP server that the addon holds; closed when collected. */
export interface DoorHandle {
  readonly [doorBrand]: true;
}

/**
 * What happened at a door: a whole `message`; a `bad-header`, four bytes that are none of the known ones; a peer
 * that had said something is `late` or `gone`; or one was turned away because its source has too many (`crowded`, no id).
 */
export type DoorEvent = 'message' | 'bad-header' | 'late' | 'gone' | 'crowded';

/**
 * The addon's network part. A bad argument is a TypeError; what the kernel refuses is an Error whose `code` is the
 * errno's name, such as `EPERM`.
 */
export interface NetFace {
  /**
   * A TCP socket with keepalive (300 s idle, 6 probes 10 s apart), TCP_USER_TIMEOUT (60 s), TCP_NODELAY and, if they
   * are not 0, SO_MARK and the largest segment both ends may send (TCP_MAXSEG, 88 to 32,767).
   * @throws Error EPERM (a mark needs CAP_NET_ADMIN), EAFNOSUPPORT, EMFILE, EINVAL (too small a segment)
   */
  socketOpen(family: 4 | 6, mark: number, segment: number): SocketHandle;
  /**
   * Connects to a literal address of the socket's family (IPv6 perhaps with a %zone) and calls back once: with nothing
   * when connected, else with the Error. A socket connects once, successful or not.
   * @throws Error of what the kernel refuses at once: ENETUNREACH, EADDRNOTAVAIL, ENODEV (no such zone), …
   */
  socketConnect(
    socket: SocketHandle,
    address: string,
    port: number,
    onDone: (error: Error | undefined) => void,
  ): void;
  /**
   * Says `question` on a connected socket and calls back once with the answer up to and including its first blank line (CR LF CR LF),
   * of which nothing further is read, or with the Error: EPIPE (closed before that), EMSGSIZE (8,192 bytes without one), …
   * @throws Error ENOTCONN, EALREADY (one question at a time), …
   */
  socketAsk(
    socket: SocketHandle,
    question: Uint8Array,
    onDone: (error: Error | undefined, answer?: Uint8Array) => void,
  ): void;
  /** The descriptor of a connected socket, which is the caller's to close from now on. @throws Error ENOTCONN */
  socketTake(socket: SocketHandle): number;
  /** Closes it unless it was taken; there will be no callback any more. */
  socketClose(socket: SocketHandle): void;

  /**
   * Sends `state` (1–4,095 bytes) as one datagram to the Unix socket at `path`; a leading `@` means the abstract
   * namespace. Never waits. @throws Error ENOENT, ECONNREFUSED, EAGAIN (the reader's queue is full), …
   */
  notifySend(path: string, state: string): void;
  /** Ends the process with exit code 0 after `ms` (at most 60,000), whatever is still under way then. */
  exitWithin(ms: number): void;

  /**
   * A listening TCP socket on a literal address; port 0 lets the system choose. The descriptor is the caller's.
   * @throws Error EADDRINUSE, EACCES, EADDRNOTAVAIL, …
   */
  listenerOpen(address: string, port: number): number;
  /** The port of a listening socket. */
  listenerPort(descriptor: number): number;

  /**
   * Serves framed exchanges on a listening socket, which it takes over. A message begins with one of the known 4-byte
   * `headers` (back to back; bytes 1–2 announce its whole length, at most 4,096). A peer is first awaited for its hello
   * (`helloMs`), after `doorAnswer` for its claim (`claimMs`), after `doorPart` for its close (`lingerMs`). After any event
   * with an id nothing is read from that peer until the one or the other is called; one of them must be.
   *
   * At most `perSource` connections of an IPv4 address or IPv6 /64, the others get `refusal`. At most `total` of all: when
   * they are reached, the one that has been silent the longest is closed for the new one.
   *
   * `onEvent(event, id, source address, note given to doorAnswer or 0, whether it had been answered, bytes)`; the bytes are
   * the message, or the bad header; a late peer has one byte if it said anything.
   * @throws Error EMFILE
   */
  doorOpen(
    listener: number,
    headers: Uint8Array,
    refusal: Uint8Array,
    total: number,
    perSource: number,
    helloMs: number,
    claimMs: number,
    lingerMs: number,
    onEvent: (
      event: DoorEvent,
      id: number,
      source: string,
      note: number,
      answered: boolean,
      bytes: Uint8Array,
    ) => void,
  ): DoorHandle;
  /** Says `message` and awaits the claim; `note` (0–255) comes back with later events. Nothing if the peer is gone. */
  doorAnswer(door: DoorHandle, id: number, message: Uint8Array, note: number): void;
  /** Says the last words (perhaps none) and closes once the peer has, or after `lingerMs`. Nothing if the peer is gone. */
  doorPart(door: DoorHandle, id: number, lastWords: Uint8Array): void;
  /** Looks for late peers: to be called a few times a second. */
  doorTick(door: DoorHandle): void;
  /** Accepts no more, and lets go of those who have not said a whole hello. */
  doorShut(door: DoorHandle): void;
  /** Ends everything, at once and for good; allowed any number of times and inside the callback. */
  doorClose(door: DoorHandle): void;
  /** Connections open. */
  doorCount(door: DoorHandle): number;
}
