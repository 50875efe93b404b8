import { dial } from '../os/dial.ts';
import { connectTls } from '../os/tls.ts';
import type { TunDevice } from '../os/tun.ts';
import { concat } from '../protocol/bytes.ts';
import { Failure } from '../protocol/failure.ts';
import { allowsEgress, allowsIngress } from '../protocol/tunnel/firewall.ts';
import {
  encodeFrame,
  FRAME_HEADER_LENGTH,
  frameReader,
  frames,
  MAX_PACKET,
} from '../protocol/tunnel/frame.ts';
import { heartbeat, isHeartbeatReply } from '../protocol/tunnel/icmp6.ts';
import { ALPN, isControl, parseVerdict, type Verdict } from '../protocol/tunnel/verdict.ts';

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
}

/** What may pass, and how the silence is measured. */
export interface Rules {
  /** The own address, 16 bytes. */
  readonly own: Uint8Array;
  readonly allowIpv4: boolean;
  readonly heartbeatPeriodMs: number;
  readonly heartbeatTimeoutMs: number;
}

export type TunnelEvent =
  /** The router has answered through the tunnel: it accepts this identity. */
  | { readonly kind: 'up'; readonly router: string }
  | { readonly kind: 'down'; readonly failure: Failure }
  | { readonly kind: 'verdict'; readonly verdict: Verdict };

/** Counted since the tunnel was opened. */
export interface Traffic {
  readonly sentPackets: number;
  readonly sentBytes: number;
  readonly receivedPackets: number;
  readonly receivedBytes: number;
  /** Not from the own address, malformed or too long. */
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
  /** Ends the connection; what the host sends meanwhile is dropped. */
  stop(): void;
  traffic(): Traffic;
  /** Stops and closes the TUN; its address and routes go with it. */
  close(): void;
}

/** The data plane over node:tls: one batch of the TUN is one TLS write, and the next is read when it is out. */
export function openTunnel(device: TunDevice, rules: Rules): Tunnel {
  const count = {
    sentPackets: 0,
    sentBytes: 0,
    receivedPackets: 0,
    receivedBytes: 0,
    droppedSending: 0,
    droppedReceiving: 0,
  };
  let connection: Connection | undefined;
  let lost: Failure | undefined;

  const resume = (): void => device.resume();
  const send = (batch: Uint8Array): void => {
    const { bytes, packets, dropped } = filterEgress(rules, batch);
    count.droppedSending += dropped;
    if (bytes.length === 0 || !connection?.send(bytes, resume)) {
      resume();
      return;
    }
    count.sentPackets += packets;
    count.sentBytes += bytes.length - packets * FRAME_HEADER_LENGTH;
  };
  device.start(send, (failure) => {
    lost = failure;
    connection?.fail(failure);
  });

  const deliver = (packets: readonly Uint8Array[]): void => {
    const allowed = packets.filter((packet) => allowsIngress(rules.own, packet, rules.allowIpv4));
    count.droppedReceiving += packets.length - allowed.length;
    if (allowed.length === 0) return;
    const written = device.write(concat(...allowed.map(encodeFrame)));
    count.droppedReceiving += written.dropped;
    count.receivedPackets += written.packets;
    for (const packet of allowed) count.receivedBytes += packet.length;
  };

  const stop = (): void => {
    connection?.end();
    connection = undefined;
  };
  return {
    get usable() {
      return lost === undefined;
    },
    start(link, report) {
      stop();
      if (lost) {
        report({ kind: 'down', failure: lost });
        return;
      }
      connection = connect(link, rules, deliver, (event) => {
        if (event.kind !== 'up') connection = undefined;
        report(event);
      });
    },
    stop,
    traffic: () => ({ ...count }),
    close() {
      stop();
      device.close();
    },
  };
}

/** The frames of a batch that may leave; the batch itself if all may. */
function filterEgress(
  rules: Rules,
  batch: Uint8Array,
): { bytes: Uint8Array; packets: number; dropped: number } {
  const allowed: Uint8Array[] = [];
  let dropped = 0;
  for (const packet of frames(batch)) {
    if (packet.length <= MAX_PACKET && allowsEgress(rules.own, packet, rules.allowIpv4)) allowed.push(packet);
    else dropped++;
  }
  const bytes = dropped === 0 ? batch : concat(...allowed.map(encodeFrame));
  return { bytes, packets: allowed.length, dropped };
}

interface Connection {
  /** False if there is no connection yet or any more; else `sent` is called once the bytes are not needed any more. */
  send(bytes: Uint8Array, sent: () => void): boolean;
  /** Ends it without a further report. */
  end(): void;
  fail(failure: Failure): void;
}

type Socket = Awaited<ReturnType<typeof connectTls>>;

function connect(
  link: Link,
  rules: Rules,
  deliver: (packets: readonly Uint8Array[]) => void,
  report: (event: TunnelEvent) => void,
): Connection {
  const abort = new AbortController();
  let socket: Socket | undefined;
  let accepted = false;
  let over = false;
  let router = '';
  let silence: ReturnType<typeof setTimeout> | undefined;
  let patience: ReturnType<typeof setTimeout> | undefined;

  const finish = (event?: TunnelEvent): void => {
    if (over) return;
    over = true;
    clearTimeout(silence);
    clearTimeout(patience);
    abort.abort();
    if (event === undefined) socket?.end();
    socket?.destroySoon();
    if (event) report(event);
  };
  const down = (failure: Failure): void => finish({ kind: 'down', failure });

  const beat = (): void => {
    socket?.write(encodeFrame(heartbeat(rules.own)));
    patience ??= setTimeout(() => down(silent(accepted, rules.heartbeatTimeoutMs)), rules.heartbeatTimeoutMs);
  };
  const heard = (): void => {
    clearTimeout(patience);
    patience = undefined;
    silence?.refresh();
    if (accepted) return;
    accepted = true;
    report({ kind: 'up', router });
  };

  const read = frameReader();
  const receive = (chunk: Uint8Array): void => {
    if (over) return;
    const packets: Uint8Array[] = [];
    for (const packet of read.push(chunk)) {
      if (isControl(packet)) {
        const verdict = parseVerdict(packet);
        if (verdict) {
          finish({ kind: 'verdict', verdict });
          return;
        }
      } else {
        heard();
        if (!isHeartbeatReply(rules.own, packet)) packets.push(packet);
      }
    }
    deliver(packets);
  };

  const carry = (established: Socket): void => {
    if (over) {
      established.destroy();
      return;
    }
    socket = established;
    router = `${socket.remoteAddress ?? '?'} port ${socket.remotePort ?? '?'}`;
    socket.on('data', (chunk: Uint8Array) => {
      try {
        receive(chunk);
      } catch (error) {
        down(asFailure(error));
      }
    });
    socket.on('error', (error: Error) => down(asFailure(error)));
    socket.on('close', () => down(closedByRouter(accepted)));
    socket.on('end', () => down(closedByRouter(accepted)));
    silence = setTimeout(function tick() {
      beat();
      silence?.refresh();
    }, rules.heartbeatPeriodMs);
    // TLS 1.3 ends our handshake before the router has judged us: only an answer says that we are in.
    beat();
  };

  open(link, abort.signal).then(carry, (error: unknown) => down(asFailure(error)));

  return {
    send(bytes, sent) {
      if (over || socket === undefined) return false;
      socket.write(bytes, () => sent());
      return true;
    },
    end: () => finish(),
    fail: down,
  };
}

async function open(link: Link, signal: AbortSignal): Promise<Socket> {
  const { hosts, port, timeoutMs } = link;
  const socket = await dial({ hosts, port, timeoutMs, signal, ...(link.mark !== 0 && { mark: link.mark }) });
  return connectTls({
    socket,
    ca: link.ca,
    certificate: link.certificate,
    key: link.key,
    alpn: [ALPN],
    timeoutMs,
  });
}

function silent(accepted: boolean, timeoutMs: number): Failure {
  const what = accepted
    ? 'the router has fallen silent'
    : 'the router took the connection but does not answer in it';
  return new Failure('tunnel.silent', 'retry', `${what}: no answer to a heartbeat within ${timeoutMs} ms`);
}

function closedByRouter(accepted: boolean): Failure {
  return accepted
    ? new Failure('tunnel.closed', 'retry', 'the router closed the connection')
    : new Failure('tunnel.refused', 'retry', 'the router closed the connection before it answered', {
        action: 'If this lasts, check in the fabric that this device is known and not suspended.',
      });
}

function asFailure(error: unknown): Failure {
  if (error instanceof Failure) return error;
  const { code, message } = error as Error & { code?: string };
  return new Failure('tunnel.broken', 'retry', `the connection to the router broke: ${code ?? message}`, {
    cause: error,
  });
}
