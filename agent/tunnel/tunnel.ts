import type { Pkcs11Key } from '../../crypto/pkcs11.ts';
import { type DialOptions, dialDescriptor } from '../../os/net/dial.ts';
import type { Lookup } from '../../os/net/lookup.ts';
import type { HttpProxy } from '../../os/net/proxy.ts';
import { Failure } from '../../protocol/failure.ts';
import type { Prefix } from '../../protocol/ipv6.ts';
import { encodeReport } from '../../protocol/tunnel/report.ts';
import type { WireChoice } from '../../protocol/tunnel/wire.ts';
import {
  closeDescriptor,
  type DataplaneEvent,
  type DataplaneRules,
  startDataplane,
  type TunDevice,
} from '../../tunnel/client.ts';
import { nextSegment } from './segment.ts';
import type { ControlMessages, Counters, Traffic, TunnelEvent } from './session.ts';

/** Where to connect to, and the identity to connect as. */
export interface ConnectOptions {
  readonly hosts: DialOptions['hosts'];
  readonly port: number;
  readonly onTried?: DialOptions['onTried'];
  readonly addressOrder?: DialOptions['addressOrder'];
  /** Firewall mark of the connection; 0: none. */
  readonly mark: number;
  /** For the TCP connection, and again for the TLS handshake. */
  readonly timeoutMs: number;
  /** PEM of the root the router's certificate must lead to. */
  readonly ca: string;
  /** Of which it has to have one (RouterTrust); empty: none is checked. */
  readonly names?: readonly string[];
  /** Identity certificate, DER. */
  readonly certificate: Uint8Array;
  /** PEM, which may only name a key in the TPM; or a key in a PKCS#11 token. */
  readonly key: string | Pkcs11Key;
  readonly wire: WireChoice;
  /** Instead of the system's resolver. */
  readonly lookup?: Lookup;
  readonly proxy?: HttpProxy | undefined;
}

/** Which packets pass, and when the connection counts as silent. */
export type Rules = DataplaneRules;

/** The data dataplane between one TUN and the router; at most one connection at a time. */
export interface Tunnel {
  /** False once the TUN was taken away: close it and open another. */
  readonly usable: boolean;
  /** Connects. Reports `up` at most once, then `down` or `verdict` exactly once; nothing any more after `stop`. */
  start(options: ConnectOptions, report: (event: TunnelEvent) => void): void;
  /**
   * The same beside the connection that there is: it goes on until the handshake of the next one is done, and ends then without a word. Resolves to a Failure if the next
   * one is not made; what happens afterwards is reported. If the present one ends before, `report` gets that.
   */
  move(options: ConnectOptions, report: (event: TunnelEvent) => void): Promise<Failure | undefined>;
  /** Asks the router at once whether it is there; after five seconds without an answer the connection is `down`. */
  probe(): void;
  /** Sends the report on this device again, if the router has asked for one. */
  sendReport(): void;
  /** Sends the device's request to a router that has asked for a report, if there is one. */
  sendRequest(): void;
  /** Packets from and to this /64 pass, too; undefined: of none. */
  allow(prefix: Prefix | undefined): void;
  /** Ends the connection; what the host sends meanwhile is dropped. */
  stop(): void;
  /** Writes a packet to the interface, as if it had come from the link. */
  deliver(packet: Uint8Array): void;
  traffic(): Traffic;
  /** Everything that is counted, for metrics. */
  counters(): Counters;
  /** As `Dataplane.silentMs`. */
  silentMs(): number | undefined;
  /** Stops and closes the TUN; its address and routes go with it. */
  close(): void;
}

/**
 * The tunnel over the native data dataplane, which owns the device from now on; this code only dials and controls it. `onLocal` receives the
 * packets to fe80::1, ff02::2 and ff02::1:2 (lan.ts). `control` makes and takes the messages between the router and this device.
 */
export function openTunnel(
  device: TunDevice,
  rules: Rules,
  control: ControlMessages,
  onLocal?: (packet: Uint8Array) => void,
): Tunnel {
  let dialling: AbortController | undefined;
  /** To another host, beside it. */
  let moving: AbortController | undefined;
  let onDown: ((failure: Failure) => void) | undefined;
  let lost: Failure | undefined;
  /** Largest TCP segment of the next connection. */
  let segment = 0;
  const onLost = (failure: Failure): void => {
    lost = failure;
    // While dialling, the thread has no connection whose end it could report.
    onDown?.(failure);
  };
  const dataplane = startDataplane(device, rules, onLost, onLocal);

  const sendReport = (): void => {
    const packet = encodeReport(control.selfReport());
    if (packet !== undefined) dataplane.sendControl(packet);
  };
  const sendRequest = (): void => {
    const packet = control.request();
    if (packet !== undefined) dataplane.sendControl(packet);
  };

  const stop = (): void => {
    moving?.abort();
    moving = undefined;
    dialling?.abort();
    dialling = undefined;
    onDown = undefined;
    dataplane.disconnect();
  };

  const answer = async (packet: Uint8Array, attempt: AbortController): Promise<void> => {
    const reply = await control.receive(packet);
    if (reply !== undefined && dialling === attempt) dataplane.sendControl(reply);
  };

  const take = (
    event: DataplaneEvent,
    attempt: AbortController,
    report: (event: TunnelEvent) => void,
  ): void => {
    if (dialling !== attempt || event.kind === 'stayed') return;
    if (event.kind === 'asked') {
      sendReport();
      sendRequest();
      return;
    }
    if (event.kind === 'control') {
      void answer(event.packet, attempt);
      return;
    }
    if (event.kind !== 'up') {
      moving?.abort();
      moving = undefined;
    }
    segment = nextSegment(segment, event);
    report(event);
  };

  const move = async (
    options: ConnectOptions,
    report: (event: TunnelEvent) => void,
  ): Promise<Failure | undefined> => {
    const before = dialling;
    const attempt = new AbortController();
    moving?.abort();
    moving = attempt;
    const { timeoutMs, ca, names = [], certificate, key, wire } = options;
    const fd = await dialDescriptor(dialOptions(options, segment, attempt.signal)).catch(asFailure);
    if (typeof fd !== 'number') return fd;
    if (moving !== attempt || before === undefined || dialling !== before) {
      closeDescriptor(fd);
      return cancelled();
    }
    return new Promise((resolve) => {
      attempt.signal.addEventListener('abort', () => resolve(cancelled()), { once: true });
      const order = { fd, timeoutMs, ca, names, certificate, key, wire };
      try {
        dataplane.succeed(order, (event) => {
          if (event.kind === 'stayed') {
            if (moving === attempt) moving = undefined;
            resolve(event.failure);
            return;
          }
          // Its handshake is done, or it is the only one by now.
          if (dialling === before) {
            dialling = attempt;
            moving = undefined;
          }
          resolve(undefined);
          take(event, attempt, report);
        });
      } catch (error) {
        resolve(asFailure(error));
      }
    });
  };

  const start = (options: ConnectOptions, report: (event: TunnelEvent) => void): void => {
    stop();
    const attempt = new AbortController();
    dialling = attempt;
    const down = (failure: Failure): void => {
      if (dialling !== attempt) return;
      stop();
      report({ kind: 'down', failure });
    };
    if (lost !== undefined) {
      down(lost);
      return;
    }
    onDown = down;
    const { timeoutMs, ca, names = [], certificate, key, wire } = options;
    dialDescriptor(dialOptions(options, segment, attempt.signal))
      .then((fd) => {
        if (dialling !== attempt) {
          closeDescriptor(fd);
          return;
        }
        onDown = undefined;
        dataplane.connect({ fd, timeoutMs, ca, names, certificate, key, wire }, (event) =>
          take(event, attempt, report),
        );
      })
      // Also what the data plane refuses at once must not end the program.
      .catch((error: unknown) => down(asFailure(error)));
  };

  return {
    get usable() {
      return lost === undefined;
    },
    start,
    move,
    probe: () => dataplane.probe(),
    sendReport,
    sendRequest,
    allow: dataplane.allow,
    stop,
    deliver: (packet) => void dataplane.deliver(packet),
    traffic: () => trafficOf(dataplane.counters()),
    counters: () => dataplane.counters(),
    silentMs: dataplane.silentMs,
    close() {
      stop();
      dataplane.close();
    },
  };
}

function dialOptions(
  { hosts, port, onTried, addressOrder, mark, timeoutMs, lookup, proxy }: ConnectOptions,
  segment: number,
  signal: AbortSignal,
): DialOptions {
  return {
    hosts,
    port,
    onTried,
    addressOrder,
    timeoutMs,
    signal,
    proxy,
    segment,
    ...(mark !== 0 && { mark }),
    ...(lookup && { lookup }),
  };
}

function trafficOf(counters: Counters): Traffic {
  const { sentPackets, sentBytes, receivedPackets, receivedBytes } = counters;
  const { outMalformed, outForeign, outTooLong, outOverflow, outLate } = counters;
  const { inMalformed, inForeign, inRefused } = counters;
  return {
    sentPackets,
    sentBytes,
    receivedPackets,
    receivedBytes,
    droppedSending: outMalformed + outForeign + outTooLong + outOverflow + outLate,
    droppedReceiving: inMalformed + inForeign + inRefused,
  };
}

const cancelled = (): Failure => new Failure('net.aborted', 'retry', 'the connection attempt was cancelled');

function asFailure(error: unknown): Failure {
  if (error instanceof Failure) return error;
  const { code, message } = error as Error & { code?: string };
  return new Failure('tunnel.broken', 'retry', `the connection to the router broke: ${code ?? message}`, {
    cause: error,
  });
}
