declare const socketBrand: unique symbol;

/** A TCP socket that the addon holds until `socketTake`; closed when collected. */
export interface SocketHandle {
  readonly [socketBrand]: true;
}

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
   * Sends `question` on a connected socket and calls back once with the answer up to and including its first blank line (CR LF CR LF),
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
}
