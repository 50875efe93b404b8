declare const tunBrand: unique symbol;
declare const socketBrand: unique symbol;

/** A TUN device that the addon holds; closed when collected. */
export interface TunHandle {
  readonly [tunBrand]: true;
}

/** A TCP socket that the addon holds until `socketTake`; closed when collected. */
export interface SocketHandle {
  readonly [socketBrand]: true;
}

/**
 * The addon's network part. A bad argument is a TypeError; what the kernel refuses is an Error whose `code` is the
 * errno's name, such as `EPERM`. Frames are enftun's (enftun.md §4): u16 big-endian length ‖ packet, back to back.
 */
export interface NetFace {
  /**
   * Opens the TUN device `name` (1–15 bytes), creating it if it is not there; without packet information, non-blocking.
   * @throws Error ENOENT or ENODEV (no TUN driver), EPERM, EBUSY (held by another process), EINVAL (a name the kernel
   * refuses, or an interface that is no TUN)
   */
  tunOpen(name: string): TunHandle;
  /** The device's name, as the kernel has it. */
  tunName(tun: TunHandle): string;
  /**
   * Calls back with each batch of frames: at most 64 KB or 256 packets, each of at most 1,496 bytes (longer ones are
   * dropped: a peer would end the connection over one). The memory is valid, and nothing more is read, until `tunResume`.
   * Or calls back once with `lost`, when the device was removed. A started device keeps the event loop alive.
   * @throws Error EBADF (closed), EALREADY (started before)
   */
  tunStart(tun: TunHandle, onBatch: (frames: Uint8Array | undefined, lost: Error | undefined) => void): void;
  /** Reads on after a batch; does nothing on a device that is not started, or closed. */
  tunResume(tun: TunHandle): void;
  /**
   * Writes whole frames; empty ones are skipped. `dropped` of the `packets` were refused by the kernel: interface down,
   * not an IP packet, no room, or the device closed. @throws TypeError if the last frame is cut off; nothing was written
   */
  tunWrite(tun: TunHandle, frames: Uint8Array): { packets: number; dropped: number };
  /** Closes it, at once and for good; allowed any number of times and inside the callback. */
  tunClose(tun: TunHandle): void;

  /**
   * A TCP socket with keepalive (300 s idle, 6 probes 10 s apart), TCP_USER_TIMEOUT (60 s), TCP_NODELAY and, if `mark`
   * is not 0, SO_MARK. @throws Error EPERM (a mark needs CAP_NET_ADMIN), EAFNOSUPPORT, EMFILE
   */
  socketOpen(family: 4 | 6, mark: number): SocketHandle;
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
  /** The descriptor of a connected socket, which is the caller's to close from now on. @throws Error ENOTCONN */
  socketTake(socket: SocketHandle): number;
  /** Closes it unless it was taken; there will be no callback any more. */
  socketClose(socket: SocketHandle): void;

  /**
   * Sends `state` (1–4,095 bytes) as one datagram to the Unix socket at `path`; a leading `@` means the abstract
   * namespace. Never waits. @throws Error ENOENT, ECONNREFUSED, EAGAIN (the reader's queue is full), …
   */
  notifySend(path: string, state: string): void;
}
