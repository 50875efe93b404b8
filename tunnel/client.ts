import { closeSync } from 'node:fs';
import type { Offload, PlaneCounters, PlaneEvent } from '../native/client/client.ts';
import { addon } from '../native/index.ts';
import { Failure } from '../protocol/failure.ts';
import { type Verdict, verdictOf } from '../protocol/tunnel/verdict.ts';
import { WIRES, type Wire, type WireChoice } from '../protocol/tunnel/wire.ts';
import { checkTunName, lostFailure, openFailure } from './tun-failure.ts';

/** A TUN device for the data plane: packets never reach JavaScript. */
export interface PlaneDevice {
  readonly name: string;
  readonly fd: number;
  readonly offload: Offload;
  /** For a device that no data plane was started over: that would own it. */
  close(): void;
}

/** What may pass, and how silence is measured. */
export interface PlaneRules {
  /** The own address, 16 bytes. */
  readonly own: Uint8Array;
  readonly allowIpv4: boolean;
  readonly heartbeatPeriodMs: number;
  readonly heartbeatTimeoutMs: number;
}

/** TLS as whom and with whom. */
export interface PlaneOrder {
  /** A connected socket; it belongs to the data plane from now on, also when this fails. */
  readonly fd: number;
  /** For the whole handshake. */
  readonly timeoutMs: number;
  /** PEM of the root that the router's certificate has to chain to; of several, while a root is being replaced. */
  readonly ca: string;
  /** Names and addresses of which the router's certificate has to have one, and serverAuth among its usages; empty: neither is checked. */
  readonly names?: readonly string[];
  /** DER of our own certificate, X.509 v1 or v3. */
  readonly certificate: Uint8Array;
  /** PEM of its private key, or the PEM that names a key in the TPM. */
  readonly key: string;
  readonly wire: WireChoice;
}

export type PlaneReport =
  | { readonly kind: 'up'; readonly router: string; readonly wire: Wire }
  | { readonly kind: 'asked' }
  | { readonly kind: 'verdict'; readonly verdict: Verdict }
  | {
      readonly kind: 'down';
      readonly failure: Failure;
      /** What was sent has not arrived, or the answer has not: perhaps the path loses full packets. */
      readonly silent?: true;
    };

/** A native thread that carries packets between a TUN and at most one TLS connection. */
export interface Plane {
  /**
   * TLS 1.2 or 1.3 over a connected socket: no SNI, the server's chain to the given root, one of the names if there are any,
   * our certificate; the session of the connection before is resumed. Reports `up` at most once, when the peer has answered, and
   * then `verdict` or `down` exactly once; `asked` at most once, when the router wants to be told of us (`tell`), perhaps before `up`;
   * nothing any more after `disconnect` or another `connect`.
   * Failures: `tls.untrusted-server`, `tls.wrong-name`, `tls.clock`, `tls.handshake-failed`, `tls.bad-root`, `tls.bad-credentials`, `tunnel.refused`,
   * `tunnel.closed`, `tunnel.silent`, `tunnel.broken`, `tunnel.oversized-frame`
   */
  connect(order: PlaneOrder, report: (event: PlaneReport) => void): void;
  disconnect(): void;
  /** Sends a heartbeat at once; without any answer in five seconds (less if `heartbeatTimeoutMs` is less) the connection is `down`. */
  probe(): void;
  /** Sends the packet of a control message, at most 71 bytes, if the connection there is has `asked`. */
  tell(packet: Uint8Array): void;
  /** Writes a packet to the TUN, as if it had come from the link. False if the kernel refused it. */
  deliver(packet: Uint8Array): boolean;
  /** The last ones, once closed. */
  counters(): PlaneCounters;
  /** Ends everything; the device is gone on return. Any number of times. */
  close(): void;
}

/**
 * Opens the TUN device `name` with as much offload as the kernel has, creating it if it is not there. It is neither configured nor
 * up; with `queues` a router's threads may have one each. @throws Failure `os.no-tun`, `os.not-permitted`, `os.tun-busy`, `os.not-a-tun`, `os.bad-tun-name`, `os.tun-failed`
 */
export function openPlaneDevice(name: string, most: Offload = 2, queues = false): PlaneDevice {
  checkTunName(name);
  try {
    const opened = addon().planeTun(name, most, queues);
    return { ...opened, close: () => closeSync(opened.fd) };
  } catch (error) {
    throw openFailure(name, error as NodeJS.ErrnoException);
  }
}

/** Closes a socket that no `connect` has got. */
export function closeDescriptor(fd: number): void {
  closeSync(fd);
}

/**
 * Starts the thread over the device. `onLost` is called once if the device is removed under it (Failure `os.tun-lost`), after the
 * connection's `down`. `onLocal` gets the packets for who serves the link: from a link-local address to fe80::1, ff02::2 and ff02::1:2, with or
 * without a connection. Keeps the process alive until `close()`.
 */
export function startPlane(
  device: PlaneDevice,
  rules: PlaneRules,
  onLost: (failure: Failure) => void,
  onLocal?: (packet: Uint8Array) => void,
): Plane {
  const native = addon();
  let current:
    | { readonly id: number; readonly order: PlaneOrder; report(event: PlaneReport): void }
    | undefined;
  let last = 0;
  let final: PlaneCounters | undefined;

  const hear = (
    event: PlaneEvent,
    id: number,
    text: string,
    number: number,
    kind: number,
    packet?: Uint8Array,
  ): void => {
    if (event === 'local') {
      if (packet) onLocal?.(packet);
      return;
    }
    if (event === 'tun-lost') {
      const failure = lostFailure(device.name, new Error(text));
      const lost = current;
      current = undefined;
      lost?.report({ kind: 'down', failure });
      onLost(failure);
      return;
    }
    if (current === undefined || id !== current.id) return;
    const { order, report } = current;
    if (event === 'up') {
      report({ kind: 'up', router: text, wire: WIRES[number]! });
      return;
    }
    if (event === 'asked') {
      report({ kind: 'asked' });
      return;
    }
    current = undefined;
    const verdict = event === 'verdict' ? verdictOf(kind, number) : undefined;
    if (verdict !== undefined) report({ kind: 'verdict', verdict });
    else
      report({
        kind: 'down',
        failure: failureOf(event, text, number, order, rules),
        ...(isSilence(event, text, number) && { silent: true }),
      });
  };

  const { own, allowIpv4, heartbeatPeriodMs, heartbeatTimeoutMs } = rules;
  const handle = native.planeStart(
    device.fd,
    device.offload,
    own,
    allowIpv4,
    heartbeatPeriodMs,
    heartbeatTimeoutMs,
    hear,
    onLocal !== undefined,
  );
  return {
    connect(order, report) {
      current = { id: ++last, order, report };
      const { fd, timeoutMs, ca, certificate, key, wire, names = [] } = order;
      try {
        native.planeConnect(
          handle,
          last,
          fd,
          timeoutMs,
          ca,
          certificate,
          key,
          wire === 'auto',
          names.join('\n'),
        );
      } catch (error) {
        current = undefined;
        closeSync(fd);
        throw error;
      }
    },
    disconnect() {
      current = undefined;
      native.planeDisconnect(handle);
    },
    probe() {
      if (final === undefined) native.planeProbe(handle);
    },
    tell(packet) {
      if (current !== undefined) native.planeTell(handle, current.id, packet);
    },
    deliver: (packet) => native.planeDeliver(handle, packet),
    counters: () => final ?? native.planeCounters(handle),
    close() {
      current = undefined;
      final ??= native.planeCounters(handle);
      native.planeClose(handle);
    },
  };
}

function failureOf(
  event: PlaneEvent,
  text: string,
  number: number,
  order: PlaneOrder,
  rules: PlaneRules,
): Failure {
  switch (event) {
    case 'bad-root':
      return new Failure('tls.bad-root', 'operator', `the TLS root is not a certificate in PEM (${text})`, {
        action: 'Check the TLS root that was personalised or configured.',
      });
    case 'bad-credentials':
      return new Failure(
        'tls.bad-credentials',
        'operator',
        `the identity's certificate and key are not usable for TLS (${text})`,
        { action: 'Check that the certificate and the key belong together, and that the key is this TPM’s.' },
      );
    case 'clock':
      return new Failure(
        'tls.clock',
        'retry',
        `by this device's clock (${new Date().toISOString()}) the server's certificate is not valid (${text})`,
        { action: 'Set the clock; if it is right, renew the router’s certificate.' },
      );
    case 'untrusted':
      if (number === 1 && (order.names ?? []).length > 0) return wrongName(text, order);
      return new Failure(
        'tls.untrusted-server',
        'retry',
        `the server's certificate does not chain to our TLS root (${text})`,
        {
          action:
            'Check the host and port, and whether a captive portal or an inspecting proxy answers in its place.',
        },
      );
    case 'handshake':
      return new Failure(
        'tls.handshake-failed',
        'retry',
        `TLS handshake failed: ${number === 1 ? `not finished within ${order.timeoutMs} ms` : text}`,
        {
          action: 'Check that the host and port are the router’s, and the router’s log.',
        },
      );
    case 'oversized':
      return new Failure(
        'tunnel.oversized-frame',
        'retry',
        `a frame's length: expected at most 1496 bytes, got ${text}`,
        {
          action:
            'Nothing to do here: the connection is closed and made again. The peer speaks another framing.',
        },
      );
    case 'silent':
      return new Failure(
        'tunnel.silent',
        'retry',
        `${number === 1 ? 'the router has fallen silent' : 'the router took the connection but does not answer in it'}: no answer to a heartbeat within ${rules.heartbeatTimeoutMs} ms`,
      );
    case 'closed':
      return number === 1
        ? new Failure('tunnel.closed', 'retry', 'the router closed the connection')
        : new Failure('tunnel.refused', 'retry', 'the router closed the connection before it answered', {
            action: 'If this lasts, check in the fabric that this device is known and not suspended.',
          });
    default:
      return new Failure('tunnel.broken', 'retry', `the connection to the router broke: ${text}`);
  }
}

/** The root is right, the name or the usage is not: anybody with a certificate of that CA may have answered. */
const wrongName = (text: string, { names = [] }: PlaneOrder): Failure =>
  new Failure(
    'tls.wrong-name',
    'retry',
    `the server's certificate leads to the configured root, but is none of a router at ${names.join(' or ')} (${text})`,
    {
      action:
        'Give the router a certificate with that name in its subjectAltName and serverAuth in its extended key usage, or set remote.tls-name to the name that it has; "*" if the root signs routers only.',
    },
  );

/** `text` of `broken` is the name of an errno; `number` of `handshake` is 1 if its time was over. */
const isSilence = (event: PlaneEvent, text: string, number: number): boolean =>
  event === 'silent' ||
  (event === 'handshake' && number === 1) ||
  (event === 'broken' && text === 'ETIMEDOUT');
