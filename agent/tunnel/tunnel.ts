import { dialDescriptor } from '../../os/net/dial.ts';
import type { Lookup } from '../../os/net/lookup.ts';
import type { HttpProxy } from '../../os/net/proxy.ts';
import { Failure } from '../../protocol/failure.ts';
import { encodeReport, type Report } from '../../protocol/tunnel/report.ts';
import type { WireChoice } from '../../protocol/tunnel/wire.ts';
import {
  closeDescriptor,
  type Dataplane,
  type DataplaneEvent,
  type DataplaneRules,
  startDataplane,
  type TunDevice,
} from '../../tunnel/client.ts';

/** Where to connect to and as whom. */
export interface Link {
  readonly hosts: readonly string[];
  readonly port: number;
  /** Firewall mark of the connection; 0: none. */
  readonly mark: number;
  /** For the TCP connection, and again for the TLS handshake. */
  readonly timeoutMs: number;
  /** PEM of the root the router's certificate must lead to. */
  readonly ca: string;
  /** Identity certificate, DER. */
  readonly certificate: Uint8Array;
  /** PEM; may only name a key in the TPM. */
  readonly key: string;
  readonly wire: WireChoice;
  /** Instead of the system's resolver. */
  readonly lookup?: Lookup;
  readonly proxy?: HttpProxy | undefined;
}

/** What may pass, and how the silence is measured. */
export type Rules = DataplaneRules;

/**
 * `up`: the router has answered through the tunnel, so it accepts this identity. `down` and `verdict` end the connection.
 */
export type TunnelEvent = Exclude<DataplaneEvent, { kind: 'asked' }>;

/** Counted since the tunnel was opened. */
export interface Traffic {
  readonly sentPackets: number;
  readonly sentBytes: number;
  readonly receivedPackets: number;
  readonly receivedBytes: number;
  /** Not from the own address, malformed, too long, or more than the connection could take. */
  readonly droppedSending: number;
  /** Not for the own address, malformed, or refused by the kernel. */
  readonly droppedReceiving: number;
}

/** The data plane between one TUN and the router; at most one connection at a time. */
export interface Tunnel {
  /** False once the TUN was taken away: close it and open another. */
  readonly usable: boolean;
  /** Connects. Reports `up` at most once, then `down` or `verdict` exactly once; nothing any more after `stop`. */
  start(link: Link, report: (event: TunnelEvent) => void): void;
  /** Asks the router at once whether it is there; after five seconds without an answer the connection is `down`. */
  probe(): void;
  /** Tells the router of us again, if it has asked. */
  tell(): void;
  /** Ends the connection; what the host sends meanwhile is dropped. */
  stop(): void;
  /** Writes a packet to the interface, as if it had come from the link. */
  deliver(packet: Uint8Array): void;
  traffic(): Traffic;
  /** Everything that is counted (native/client/client.ts), for metrics. */
  counters(): ReturnType<Dataplane['counters']>;
  /** Stops and closes the TUN; its address and routes go with it. */
  close(): void;
}

/**
 * The tunnel over the native data plane, which owns the device from now on: here it is only dialled, and told what to do. `onLocal` gets the
 * packets to fe80::1, ff02::2 and ff02::1:2 (lan.ts). A router that asks is told `aboutUs`.
 */
export function openTunnel(
  device: TunDevice,
  rules: Rules,
  aboutUs: () => Report,
  onLocal?: (packet: Uint8Array) => void,
): Tunnel {
  let dialling: AbortController | undefined;
  let onDown: ((failure: Failure) => void) | undefined;
  let lost: Failure | undefined;
  /** The connection before fell silent: perhaps its full packets are lost on the way, and nobody says so. */
  let small = false;
  const onLost = (failure: Failure): void => {
    lost = failure;
    // Nothing was handed to the thread yet, so it could report nothing.
    onDown?.(failure);
  };
  const plane = startDataplane(device, rules, onLost, onLocal);

  const tell = (): void => {
    const packet = encodeReport(aboutUs());
    if (packet !== undefined) plane.sendControl(packet);
  };

  const stop = (): void => {
    dialling?.abort();
    dialling = undefined;
    onDown = undefined;
    plane.disconnect();
  };

  const start = (link: Link, report: (event: TunnelEvent) => void): void => {
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
    const { hosts, port, mark, timeoutMs, ca, certificate, key, wire, lookup, proxy } = link;
    const options = {
      hosts,
      port,
      timeoutMs,
      signal: attempt.signal,
      proxy,
      segment: small ? SMALL_SEGMENT : 0,
      ...(mark !== 0 && { mark }),
      ...(lookup && { lookup }),
    };
    dialDescriptor(options).then(
      (fd) => {
        if (dialling !== attempt) {
          closeDescriptor(fd);
          return;
        }
        onDown = undefined;
        plane.connect({ fd, timeoutMs, ca, certificate, key, wire }, (event) => {
          if (dialling !== attempt) return;
          if (event.kind === 'asked') {
            tell();
            return;
          }
          // Small segments that are lost, too, were not the cause.
          if (event.kind === 'down' && isSilence(event.failure)) small = !small;
          report(event);
        });
      },
      (error: unknown) => down(asFailure(error)),
    );
  };

  return {
    get usable() {
      return lost === undefined;
    },
    start,
    probe: () => plane.probe(),
    tell,
    stop,
    deliver: (packet) => void plane.deliver(packet),
    traffic: () => trafficOf(plane.counters()),
    counters: () => plane.counters(),
    close() {
      stop();
      plane.close();
    },
  };
}

/**
 * Every IPv6 link takes a packet with such a segment (1,280 bytes). Both ends keep to it, so that a tunnel stands on a path that swallows
 * full packets; it costs two per cent of a fast one.
 */
const SMALL_SEGMENT = 1_220;

/** What was sent has not arrived, or the answer has not. */
function isSilence({ code, message }: Failure): boolean {
  return (
    code === 'tunnel.silent' ||
    (code === 'tls.handshake-failed' && message.includes('not finished within')) ||
    (code === 'tunnel.broken' && message.endsWith('ETIMEDOUT'))
  );
}

function trafficOf(counters: ReturnType<Dataplane['counters']>): Traffic {
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

function asFailure(error: unknown): Failure {
  if (error instanceof Failure) return error;
  const { code, message } = error as Error & { code?: string };
  return new Failure('tunnel.broken', 'retry', `the connection to the router broke: ${code ?? message}`, {
    cause: error,
  });
}
