declare const planeBrand: unique symbol;

/** A data plane's thread; stopped when collected. */
export interface PlaneHandle {
  readonly [planeBrand]: true;
}

/**
 * What the kernel does for us at a TUN. 0: nothing, every packet comes and goes by itself. 1: it takes and gives TCP in
 * pieces of up to 64 KB, and checksums may be left to the far end. 2: UDP, too (Linux 6.2).
 */
export type Offload = 0 | 1 | 2;

/**
 * What the thread reports; `text` and `number` depend on it. Of a connection, `up` and `asked` come at most once, and exactly one of the
 * others except `tun-lost`, unless it was told to disconnect.
 *
 * - `up`: the peer has answered; text: its address and port; number: 2 on the wire enf/2, 1 on enf/1, 0 on enftun's own
 * - `verdict`: the router's word; verdict: its kind (docs/wire.md), number: seconds
 * - `asked`: the router asks what we have to tell of ourselves (`planeTell`), perhaps before `up`
 * - `tun-lost`: the TUN was removed and any connection closed; text: an errno's name. Of no connection (0)
 * - `bad-root`, `bad-credentials`: of no use for TLS; text: OpenSSL's reason
 * - `untrusted`, `clock`: the server's certificate does not convince, because of its dates in the second case; text: why
 * - `handshake`: it failed otherwise; text: why; number: 1 if its time was over, else 0
 * - `closed`: by the peer; `silent`: no answer to a heartbeat; number: 1 if it had answered before, else 0
 * - `broken`: text: an errno's name, or OpenSSL's reason
 * - `local`: of no connection (0): `packet` is for who serves the link
 * - `oversized`: a frame that no peer of ours sends; text: its length
 */
export type PlaneEvent =
  | 'up'
  | 'verdict'
  | 'asked'
  | 'tun-lost'
  | 'bad-root'
  | 'bad-credentials'
  | 'untrusted'
  | 'clock'
  | 'handshake'
  | 'closed'
  | 'broken'
  | 'oversized'
  | 'silent'
  | 'local';

/** Counted since the thread's start, over all connections; packets are those of the host, however they travel. */
export interface PlaneCounters {
  /** Taken from the TUN to be sent, and written to it. Bytes without any frame header. */
  readonly sentPackets: number;
  readonly sentBytes: number;
  readonly receivedPackets: number;
  readonly receivedBytes: number;
  /** Not sent: no IP packet of its own length; not from the own address; too long; no connection. */
  readonly outMalformed: number;
  readonly outForeign: number;
  readonly outTooLong: number;
  readonly outOffline: number;
  /** Not sent, though counted as sent: no room in the queue; waited too long in it. A burst counts once. */
  readonly outOverflow: number;
  readonly outLate: number;
  /** Sent, but marked as having met congestion. */
  readonly outMarked: number;
  /** Not delivered: no IP packet of its own length or a frame that contradicts itself; not to the own
   * address, or from one that nobody behind the tunnel has, or neighbour discovery; refused by the kernel. */
  readonly inMalformed: number;
  readonly inForeign: number;
  readonly inRefused: number;
  /** System calls at the TUN. */
  readonly tunReads: number;
  readonly tunWrites: number;
  /** Large packets that the kernel gave us or got from us, each standing for many. */
  readonly sentBursts: number;
  readonly receivedBursts: number;
  /** Packets that we joined into large ones. */
  readonly coalescedPackets: number;
  /** TCP acknowledgements that a later one, come together with them, made superfluous: not delivered. */
  readonly supersededAcks: number;
  readonly sentRecords: number;
  readonly receivedRecords: number;
  /** How often the socket took no more. */
  readonly socketFull: number;
  /** Packets and bursts that waited; how long the last one and the slowest one did; bytes waiting now. */
  readonly queuedPackets: number;
  readonly queueDelayMicroseconds: number;
  readonly queueDelayMaxMicroseconds: number;
  /** All their waits together. */
  readonly queueDelayTotalMicroseconds: number;
  readonly queueBytes: number;
  readonly heartbeats: number;
  /** Finished handshakes, and those of them that resumed a session. */
  readonly connections: number;
  readonly resumptions: number;
}

/** The addon's data plane: a native thread between one TUN and one TLS connection. A bad argument is a TypeError. */
export interface DataplaneFace {
  /**
   * Opens or creates the TUN device `name` with as much offload as the kernel has, at most `most`. The descriptor is the caller's.
   * With `queues` a router may open further ones, a queue for each of its threads.
   * @throws Error ENOENT or ENODEV (no TUN driver), EPERM, EBUSY (held by another process), EINVAL (a name the kernel
   * refuses, or an interface that is no TUN)
   */
  planeTun(name: string, most: Offload, queues?: boolean): { fd: number; name: string; offload: Offload };
  /**
   * Starts the thread over `fd`, which it owns from then on: a TUN, or for tests anything of which one read is one packet. Without
   * a connection it discards what the host sends. `own` is the device's address, 16 bytes. With `local`, packets from a link-local address (or
   * none yet) to fe80::1, ff02::2 and ff02::1:2 are reported, with or without a connection; 64 may wait. It keeps the event loop
   * alive. @throws Error ENOMEM, EAGAIN, EMFILE, …; the descriptor is still the caller's then
   */
  planeStart(
    fd: number,
    offload: Offload,
    own: Uint8Array,
    allowIpv4: boolean,
    heartbeatPeriodMs: number,
    heartbeatTimeoutMs: number,
    onEvent: (
      event: PlaneEvent,
      connection: number,
      text: string,
      number: number,
      verdict: number,
      packet?: Uint8Array,
    ) => void,
    local?: boolean,
  ): PlaneHandle;
  /**
   * Ends the connection there is, if any, without a report, and begins TLS over the connected socket `fd`, which is the thread's from
   * now on. `id` comes back in its events. `roots` is PEM, `certificate` DER, `key` PEM, perhaps one that only names a key in the TPM.
   * `offerSuper`: super-frames, where the TUN offloads. `names`: one in each line, of which the server's certificate has to have one.
   * An `untrusted` with number 1 is about that name, or about the usage.
   * @throws Error EBADF after `planeClose`
   */
  planeConnect(
    plane: PlaneHandle,
    id: number,
    fd: number,
    timeoutMs: number,
    roots: string,
    certificate: Uint8Array,
    key: string,
    offerSuper: boolean,
    names?: string,
  ): void;
  /**
   * Writes a packet of 1 to 1,496 bytes to the TUN, as if it had come from the link. False if the kernel refused it, or the data plane is
   * closed.
   */
  planeDeliver(plane: PlaneHandle, packet: Uint8Array): boolean;
  /** Sends a control message of 1 to 71 bytes over connection `id`, if that still stands and has `asked`; of several at once the last. */
  planeTell(plane: PlaneHandle, id: number, packet: Uint8Array): void;
  /** Ends the connection, in order and without a report. */
  planeDisconnect(plane: PlaneHandle): void;
  /** A heartbeat at once, which is waited for no longer than five seconds. Nothing without a connection whose handshake is done. */
  planeProbe(plane: PlaneHandle): void;
  /** @throws Error EBADF when the thread is gone */
  planeCounters(plane: PlaneHandle): PlaneCounters;
  /** Ends connection and thread. The TUN is closed on return; there are no more events. Any number of times. */
  planeClose(plane: PlaneHandle): void;
}
