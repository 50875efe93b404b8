import { closeSync } from 'node:fs';
import type { DataplaneCounters, DataplaneEventName, Offload } from '../native/client/client.ts';
import { addon } from '../native/index.ts';
import type { Pkcs11Key } from '../native/pkcs11/pkcs11.ts';
import { Failure } from '../protocol/failure.ts';
import type { Prefix } from '../protocol/ipv6.ts';
import { type Verdict, verdictOf } from '../protocol/tunnel/verdict.ts';
import { MAX_PACKET, WIRES, type Wire, type WireChoice } from '../protocol/tunnel/wire.ts';
import { checkTunName, lostFailure, openFailure } from './tun-failure.ts';

/** A TUN device for a data plane: its packets never reach JavaScript. */
export interface TunDevice {
  readonly name: string;
  readonly fd: number;
  readonly offload: Offload;
  /** Only for a device that no data plane was started over: a data plane owns its device. */
  close(): void;
}

/** An answer to a heartbeat is late after this: longer than a round trip. */
const LATE_MS = 2_000;

/** Which packets may pass, and the timing of heartbeats. */
export interface DataplaneRules {
  /** The own address, 16 bytes. */
  readonly own: Uint8Array;
  readonly allowIpv4: boolean;
  readonly heartbeatPeriodMs: number;
  readonly heartbeatTimeoutMs: number;
  /** The router may shorten both for its connections (docs/wire.md, "Shorter heartbeats"); not unless given. */
  readonly shortened?: boolean;
}

/** How to make a connection: our identity, and which roots to trust. */
export interface ConnectOptions {
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
  /** PEM of its private key, or the PEM that names a key in the TPM, or a key in a PKCS#11 token. */
  readonly key: string | Pkcs11Key;
  readonly wire: WireChoice;
}

export type DataplaneEvent =
  | { readonly kind: 'up'; readonly router: string; readonly wire: Wire }
  | { readonly kind: 'asked' }
  | { readonly kind: 'control'; readonly packet: Uint8Array }
  | { readonly kind: 'verdict'; readonly verdict: Verdict }
  /** Of a successor (`succeed`): it was not made, and the connection that there was goes on. */
  | { readonly kind: 'stayed'; readonly failure: Failure }
  | {
      readonly kind: 'down';
      readonly failure: Failure;
      /** What was sent has not arrived, or the answer has not: perhaps the path loses full packets. */
      readonly silent?: true;
    };

/** A native thread that carries packets between a TUN and at most one TLS connection. */
export interface Dataplane {
  /**
   * TLS 1.2 or 1.3 over a connected socket: no SNI, the server's chain to the given root, one of the names if there are any,
   * our certificate; the session of the connection before is resumed. Reports `up` at most once, when the peer has answered, and
   * then `verdict` or `down` exactly once; `asked` at most once, when the router asks for a report (`sendControl`), and `control` for what it says of roots, perhaps before `up`;
   * nothing any more after `disconnect` or another `connect`.
   * Failures: `tls.untrusted-server`, `tls.wrong-name`, `tls.clock`, `tls.handshake-failed`, `tpm.did-not-sign`, `tls.bad-root`, `tls.bad-credentials`, `tunnel.refused`,
   * `tunnel.closed`, `tunnel.silent`, `tunnel.broken`, `tunnel.oversized-frame`
   */
  connect(order: ConnectOptions, report: (event: DataplaneEvent) => void): void;
  /**
   * The same beside the connection that there is: it goes on, and reports, until the handshake of the next one is done, which then takes its place without a
   * word of its end. If the handshake fails, the next one has `stayed` away, and the present one goes on; if that ends before, what becomes of the next one counts.
   */
  succeed(order: ConnectOptions, report: (event: DataplaneEvent) => void): void;
  disconnect(): void;
  /** Sends a heartbeat at once; without any answer in five seconds (less if `heartbeatTimeoutMs` is less) the connection is `down`. */
  probe(): void;
  /** Sends the packet of a control message, at most 71 bytes, if the router has `asked` on the present connection. */
  sendControl(packet: Uint8Array): void;
  /** From now on packets from and to this /64 pass, too; undefined: of none. */
  allow(prefix: Prefix | undefined): void;
  /** Writes a packet to the TUN, as if it had come through the tunnel. False if the kernel refused it. */
  deliver(packet: Uint8Array): boolean;
  /** Once closed, the last values. */
  counters(): DataplaneCounters;
  /** Milliseconds since anything came from a router that has not answered a heartbeat so far; undefined: it is not silent. */
  silentMs(): number | undefined;
  /** Ends everything; the device is gone on return. Any number of times. */
  close(): void;
}

/**
 * Opens the TUN device `name` with as much offload as the kernel has, creating it if it is not there. It is neither configured nor
 * up; with `queues` a router's threads may have one each. @throws Failure `os.no-tun`, `os.not-permitted`, `os.tun-busy`, `os.not-a-tun`, `os.bad-tun-name`, `os.tun-failed`
 */
export function openTunDevice(name: string, most: Offload = 2, queues = false): TunDevice {
  checkTunName(name);
  try {
    const opened = addon().dataplaneTun(name, most, queues);
    return { ...opened, close: () => closeSync(opened.fd) };
  } catch (error) {
    throw openFailure(name, error as NodeJS.ErrnoException);
  }
}

/** Closes a socket that was not given to `connect`. */
export function closeDescriptor(fd: number): void {
  closeSync(fd);
}

/**
 * Starts the thread over the device. `onLost` is called once if the device is removed under it (Failure `os.tun-lost`), after the
 * connection's `down`. `onLocal` gets the packets for the LAN server: from a link-local address to fe80::1, ff02::2 and ff02::1:2, with or
 * without a connection. Keeps the process alive until `close()`.
 */
export function startDataplane(
  device: TunDevice,
  rules: DataplaneRules,
  onLost: (failure: Failure) => void,
  onLocal?: (packet: Uint8Array) => void,
): Dataplane {
  const native = addon();
  let current: Connection | undefined;
  /** Whose handshake goes on beside it. */
  let next: Connection | undefined;
  let last = 0;
  let final: DataplaneCounters | undefined;

  const onEvent = (
    event: DataplaneEventName,
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
      next = undefined;
      lost?.report({ kind: 'down', failure });
      onLost(failure);
      return;
    }
    if (next !== undefined && id === next.id) {
      const { order, report } = next;
      if (!OF_HANDSHAKE.has(event)) current = next;
      next = undefined;
      if (current?.id !== id) {
        report({ kind: 'stayed', failure: failureOf(event, text, number, order) });
        return;
      }
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
    if (event === 'control') {
      if (packet) report({ kind: 'control', packet });
      return;
    }
    const verdict = event === 'verdict' ? verdictOf(kind, number) : undefined;
    current = undefined;
    if (next !== undefined && verdict === undefined) {
      // What follows is the word of the one that is under way.
      current = next;
      next = undefined;
      return;
    }
    if (next !== undefined) {
      next = undefined;
      native.dataplaneDisconnect(handle);
    }
    if (verdict !== undefined) report({ kind: 'verdict', verdict });
    else
      report({
        kind: 'down',
        failure: failureOf(event, text, number, order),
        ...(isSilence(event, text, number) && { silent: true }),
      });
  };

  const { own, allowIpv4, heartbeatPeriodMs, heartbeatTimeoutMs, shortened = false } = rules;
  const handle = native.dataplaneStart(
    device.fd,
    device.offload,
    own,
    allowIpv4,
    heartbeatPeriodMs,
    heartbeatTimeoutMs,
    onEvent,
    onLocal !== undefined,
    shortened,
  );
  const begin = ({ id, order }: Connection, beside: boolean): void => {
    const { fd, timeoutMs, ca, certificate, key, wire, names = [] } = order;
    const offers = wire === 'auto';
    const known = names.join('\n');
    try {
      native.dataplaneConnect(handle, id, fd, timeoutMs, ca, certificate, key, offers, known, beside);
    } catch (error) {
      closeSync(fd);
      throw error;
    }
  };
  return {
    connect(order, report) {
      next = undefined;
      current = undefined;
      const connection = { id: ++last, order, report };
      begin(connection, false);
      current = connection;
    },
    succeed(order, report) {
      next = undefined;
      const connection = { id: ++last, order, report };
      begin(connection, true);
      if (current === undefined) current = connection;
      else next = connection;
    },
    disconnect() {
      current = undefined;
      next = undefined;
      native.dataplaneDisconnect(handle);
    },
    probe() {
      if (final === undefined) native.dataplaneProbe(handle);
    },
    sendControl(packet) {
      if (current !== undefined) native.dataplaneSendControl(handle, current.id, packet);
    },
    allow: (prefix) => {
      if (final === undefined)
        native.dataplaneSetPrefix(handle, prefix?.address.subarray(0, 8) ?? new Uint8Array(0));
    },
    deliver: (packet) => native.dataplaneDeliver(handle, packet),
    counters: () => final ?? native.dataplaneCounters(handle),
    silentMs: () => (final === undefined ? native.dataplaneSilence(handle, LATE_MS) : undefined),
    close() {
      current = undefined;
      next = undefined;
      final ??= native.dataplaneCounters(handle);
      native.dataplaneClose(handle);
    },
  };
}

interface Connection {
  readonly id: number;
  readonly order: ConnectOptions;
  report(event: DataplaneEvent): void;
}

/** Events of a handshake that has failed: its connection has taken nobody's place. */
const OF_HANDSHAKE: ReadonlySet<DataplaneEventName> = new Set([
  'bad-root',
  'bad-credentials',
  'untrusted',
  'clock',
  'handshake',
]);

function failureOf(event: DataplaneEventName, text: string, number: number, order: ConnectOptions): Failure {
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
      if (number === 2)
        return new Failure(
          'tpm.did-not-sign',
          'retry',
          `the TPM did not sign for the TLS handshake (${text})`,
          {
            action: 'If this stays, "enf-agent doctor" shows the state of the TPM.',
          },
        );
      if (number === 3)
        return new Failure(
          'pkcs11.did-not-sign',
          'retry',
          `the PKCS#11 token did not sign for the TLS handshake (${text})`,
          { action: 'Check that the token is connected; it is opened again for the next attempt.' },
        );
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
        `a frame's length: expected at most ${MAX_PACKET} bytes, got ${text}`,
        {
          action:
            'Nothing to do here: the connection is closed and made again. The peer uses another framing.',
        },
      );
    case 'silent':
      return new Failure(
        'tunnel.silent',
        'retry',
        `${number === 1 ? 'the router stopped answering' : 'the router accepted the connection but does not answer'}: no answer to a heartbeat in time`,
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
const wrongName = (text: string, { names = [] }: ConnectOptions): Failure =>
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
const isSilence = (event: DataplaneEventName, text: string, number: number): boolean =>
  event === 'silent' ||
  (event === 'handshake' && number === 1) ||
  (event === 'broken' && text === 'ETIMEDOUT');
