import type { Failure } from '../../protocol/failure.ts';
import type { Prefix } from '../../protocol/ipv6.ts';
import type { Report } from '../../protocol/tunnel/report.ts';
import type { Dataplane, DataplaneEvent } from '../../tunnel/client.ts';

/**
 * `up`: the router has answered through the tunnel, so it accepts this identity. `down` and `verdict` end the connection; `elsewhere`: there is a host that was
 * not tried, of those that have not asked this device to come again later.
 */
export type TunnelEvent =
  | Exclude<DataplaneEvent, { kind: 'asked' | 'control' | 'stayed' | 'verdict' }>
  | (Extract<DataplaneEvent, { kind: 'verdict' }> & { readonly elsewhere?: boolean });

/** The control messages between the agent and a router that understands them. */
export interface ControlMessages {
  /** The report on this device, for a router that asks. */
  readonly selfReport: () => Report;
  /** The request of a device that leaves for good, told to each router that asks for a report; undefined otherwise. */
  readonly request: () => Uint8Array | undefined;
  /** What is answered to the packet of another control message, if anything. */
  readonly receive: (packet: Uint8Array) => Promise<Uint8Array | undefined>;
}

/** Counted since the tunnel was opened. */
export interface Traffic {
  readonly sentPackets: number;
  readonly sentBytes: number;
  readonly receivedPackets: number;
  readonly receivedBytes: number;
  /** Not from the own address, malformed, too long, or more than the connection could take. */
  readonly droppedSending: number;
  /** Not for the own address, from one that nobody behind the tunnel has, neighbour discovery, malformed, or refused by the kernel. */
  readonly droppedReceiving: number;
}

/** What the data plane counts (native/client/client.ts). */
export type Counters = ReturnType<Dataplane['counters']>;

/**
 * The transport between this device and the router, with the interface at our end. The lifecycle sees no more of it than this, so that
 * another transport is another implementation.
 */
export interface TunnelSession {
  /**
   * Brings the interface up and connects, in place of any connection there is. Reports as `Tunnel.start`.
   * @throws Failure of the identity, the interface and its routes
   */
  connect(report: (event: TunnelEvent) => void): Promise<void>;
  /**
   * Finds out at once whether the connection still works: `moved` if the kernel has another source address for the router now, and then
   * the connection is over without a report; else a dead one is reported `down`.
   */
  probe(): 'moved' | 'probed';
  /** The router leaves service: its host is tried last from now on. True if there is another one. */
  leave(): Promise<boolean>;
  /**
   * Connects to another host beside the connection that there is, which ends then; reports further to whom that reported, first `up`.
   * @throws Failure if it is not made: the connection that there is goes on
   */
  move(): Promise<void>;
  /** Sends the report on this device to a router that has asked for it. */
  sendReport(): void;
  /** The same with the device's request, if it has one. */
  sendRequest(): void;
  /** Packets from and to this /64 pass, too, also on later connections; undefined: of none. */
  allow(prefix: Prefix | undefined): void;
  /** The interface is of no use any more: it is removed, and a connection is `down` with the failure. */
  lose(failure: Failure): void;
  /** Ends the connection; the interface stays. */
  stop(): void;
  /** Undefined before the first connection. */
  traffic(): Traffic | undefined;
  counters(): Counters | undefined;
  /** Milliseconds since anything came from a router that has not answered a heartbeat so far; undefined: it is not silent. */
  silentMs(): number | undefined;
  /** Ends the connection and removes the interface. */
  close(): void;
}
