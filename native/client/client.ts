import type { Pkcs11Key } from '../pkcs11/pkcs11.ts';

declare const dataplaneBrand: unique symbol;

/** A client's thread; stopped when garbage-collected. */
export interface DataplaneHandle {
  readonly [dataplaneBrand]: true;
}

/**
 * Offload at a TUN. 0: none, one packet per read and write. 1: TCP in packets of up to 64 KB (TSO), and partial checksums.
 * 2: UDP, too (USO, Linux 6.2).
 */
export type Offload = 0 | 1 | 2;

/**
 * Events of the thread; the meaning of `text` and `number` depends on it. Of a connection, `up` and `asked` come at most once, and exactly one of the
 * others except `control` and `tun-lost`, unless it was told to disconnect.
 *
 * - `up`: the peer has answered; text: its address and port; number: 2 on the wire enf/2, 1 on enf/1, 0 on enftun's own
 * - `verdict`: the router's verdict; verdict: its kind (docs/wire.md), number: seconds
 * - `asked`: the router asks for a report (`dataplaneSendControl`), perhaps before `up`
 * - `control`: `packet` is a message about roots, a prefix, the pace or a drain, perhaps before `up`; 32 of a connection at most
 * - `tun-lost`: the TUN was removed and any connection closed; text: an errno's name. Of no connection (0)
 * - `bad-root`, `bad-credentials`: of no use for TLS; text: OpenSSL's reason
 * - `untrusted`, `clock`: the server's certificate is not valid, because of its dates in the second case; text: why
 * - `handshake`: it failed otherwise; text: why; number: 1 if it took too long, 2 if the TPM has not signed, 3 if a token has not, else 0
 * - `closed`: by the peer; `silent`: no answer to a heartbeat; number: 1 if it had answered before, else 0
 * - `broken`: text: an errno's name, or OpenSSL's reason
 * - `local`: of no connection (0): `packet` is for the LAN server
 * - `oversized`: a frame that no peer of ours sends; text: its length
 */
export type DataplaneEventName =
  | 'up'
  | 'verdict'
  | 'asked'
  | 'control'
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

/** Counters since the thread's start, over all connections. Packets are those of the host, not frames or records. */
export interface DataplaneCounters {
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
  /** TCP acknowledgements that were not delivered because a later one came with them. */
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
  dataplaneTun(name: string, most: Offload, queues?: boolean): { fd: number; name: string; offload: Offload };
  /**
   * Starts the thread over `fd`, which it owns from then on: a TUN, or for tests any descriptor that gives one packet per read. Without
   * a connection it drops what the host sends. `own` is the device's address, 16 bytes. With `local`, packets from a link-local address (or
   * none yet) to fe80::1, ff02::2 and ff02::1:2 are reported, with or without a connection; 64 may wait. It keeps the event loop
   * alive. `shortened`: the router may shorten the heartbeats of its connections. @throws Error ENOMEM, EAGAIN, EMFILE, …; the descriptor is still the caller's then
   */
  dataplaneStart(
    fd: number,
    offload: Offload,
    own: Uint8Array,
    allowIpv4: boolean,
    heartbeatPeriodMs: number,
    heartbeatTimeoutMs: number,
    onEvent: (
      event: DataplaneEventName,
      connection: number,
      text: string,
      number: number,
      verdict: number,
      packet?: Uint8Array,
    ) => void,
    local?: boolean,
    shortened?: boolean,
  ): DataplaneHandle;
  /**
   * Ends the present connection, if any, without an event, and begins TLS over the connected socket `fd`, which is the thread's from
   * now on. `id` comes back in its events. `roots` is PEM, `certificate` DER, `key` PEM, perhaps one that only names a key in the TPM, or a key in a token.
   * `offerSuper`: super-frames, where the TUN offloads. `names`: one in each line, of which the server's certificate has to have one.
   * An `untrusted` with number 1 is about that name, or about the usage. With `beside` an established connection goes on until the handshake of this one
   * is done, which then takes its place; if it fails, only that is reported, with this one's `id`.
   * @throws Error EBADF after `dataplaneClose`
   */
  dataplaneConnect(
    datadataplane: DataplaneHandle,
    id: number,
    fd: number,
    timeoutMs: number,
    roots: string,
    certificate: Uint8Array,
    key: string | Pkcs11Key,
    offerSuper: boolean,
    names?: string,
    beside?: boolean,
  ): void;
  /**
   * Writes a packet of 1 to 1,496 bytes to the TUN, as if it had come through the tunnel. False if the kernel refused it, or the data plane is
   * closed.
   */
  dataplaneDeliver(datadataplane: DataplaneHandle, packet: Uint8Array): boolean;
  /** Sends a control message of 1 to 71 bytes over connection `id`, if that is still the present one and the router has `asked` there. Of
   * several reports in quick succession only the last may be sent, and so of several others. */
  dataplaneSendControl(datadataplane: DataplaneHandle, id: number, packet: Uint8Array): void;
  /** From now on also the addresses of this /64 (8 bytes) are the device's, as its own; none: 0 bytes. */
  dataplaneSetPrefix(dataplane: DataplaneHandle, prefix: Uint8Array): void;
  /** Ends the connection with close_notify, without an event. */
  dataplaneDisconnect(datadataplane: DataplaneHandle): void;
  /** Sends a heartbeat at once and waits for the answer for five seconds at most. Does nothing before the handshake is done. */
  dataplaneProbe(datadataplane: DataplaneHandle): void;
  /** @throws Error EBADF when the thread is gone */
  dataplaneCounters(datadataplane: DataplaneHandle): DataplaneCounters;
  /** Milliseconds since anything was received, if a heartbeat has had no answer for `graceMs`; else undefined. */
  dataplaneSilence(dataplane: DataplaneHandle, graceMs: number): number | undefined;
  /** Ends connection and thread. The TUN is closed on return; there are no more events. Any number of times. */
  dataplaneClose(datadataplane: DataplaneHandle): void;
}
