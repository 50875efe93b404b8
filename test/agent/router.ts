import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import type { AddressInfo, Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createServer, type TLSSocket } from 'node:tls';
import { onTestFinished } from 'vitest';
import type { TunDevice } from '../../os/tun.ts';
import { concat } from '../../protocol/bytes.ts';
import type { Failure } from '../../protocol/failure.ts';
import { encodeFrame, frameReader, frames } from '../../protocol/tunnel/frame.ts';
import { echoReply } from '../../protocol/tunnel/icmp6.ts';
import { ALPN } from '../../protocol/tunnel/verdict.ts';

/** A TLS root and a router certificate under it, PEM; made by openssl, so by nobody's code of ours. */
export function makeCertificates(): { root: string; certificate: string; key: string } {
  const folder = mkdtempSync(join(tmpdir(), 'enf-agent-certs-'));
  const openssl = (...args: string[]): void =>
    void execFileSync('openssl', args, { cwd: folder, stdio: ['ignore', 'ignore', 'pipe'] });
  const ec = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'];
  openssl(
    'req',
    '-x509',
    ...ec,
    '-keyout',
    'root.key',
    '-out',
    'root.pem',
    '-subj',
    '/CN=root',
    '-days',
    '30',
  );
  openssl('req', '-new', ...ec, '-keyout', 'router.key', '-out', 'router.csr', '-subj', '/CN=router');
  openssl(
    'x509',
    '-req',
    '-in',
    'router.csr',
    '-CA',
    'root.pem',
    '-CAkey',
    'root.key',
    '-CAcreateserial',
    '-days',
    '30',
    '-out',
    'router.pem',
  );
  const [root, certificate, key] = ['root.pem', 'router.pem', 'router.key'].map((name) =>
    readFileSync(join(folder, name), 'utf8'),
  ) as [string, string, string];
  rmSync(folder, { recursive: true });
  return { root, certificate, key };
}

export interface TestRouter {
  readonly port: number;
  /** Connections so far, the newest last. */
  readonly sockets: readonly TLSSocket[];
  /** Packets received over all connections. */
  readonly packets: readonly Uint8Array[];
  /** The public keys of the clients' certificates, 65 bytes each. */
  readonly clientKeys: readonly Uint8Array[];
  send(...packets: readonly Uint8Array[]): void;
  /** Bytes as they are, not framed. */
  raw(bytes: Uint8Array): void;
  /** Resets the newest TCP connection. */
  reset(): void;
}

/** A router on loopback that answers heartbeats unless told to be silent, and lets the test say the rest. */
export async function startTestRouter(options: {
  certificate: string;
  key: string;
  silent?: boolean;
  onConnection?: (socket: TLSSocket, count: number) => void;
}): Promise<TestRouter> {
  const sockets: TLSSocket[] = [];
  const packets: Uint8Array[] = [];
  const clientKeys: Uint8Array[] = [];
  let raw: Socket | undefined;
  const { certificate: cert, key } = options;
  const server = createServer({
    cert,
    key,
    requestCert: true,
    rejectUnauthorized: false,
    ALPNProtocols: [ALPN],
  });
  server.on('secureConnection', (socket) => {
    sockets.push(socket);
    const { publicKey } = socket.getPeerX509Certificate()!;
    clientKeys.push(new Uint8Array(publicKey.export({ type: 'spki', format: 'der' }).subarray(-65)));
    socket.on('error', () => {});
    const reader = frameReader();
    socket.on('data', (chunk) => {
      for (const packet of reader.push(chunk)) {
        packets.push(Uint8Array.from(packet));
        const reply = echoReply(packet);
        if (reply && !options.silent && !socket.destroyed) socket.write(encodeFrame(reply));
      }
    });
    options.onConnection?.(socket, sockets.length);
  });
  server.on('tlsClientError', () => {});
  server.on('connection', (socket: Socket) => {
    raw = socket;
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  const newest = (): TLSSocket => sockets.at(-1)!;
  return {
    port: (server.address() as AddressInfo).port,
    sockets,
    packets,
    clientKeys,
    send: (...each) => void newest().write(concat(...each.map(encodeFrame))),
    raw: (bytes) => void newest().write(bytes),
    reset: () => void raw!.resetAndDestroy(),
  };
}

export interface FakeTun extends TunDevice {
  /** What the tunnel has delivered. */
  readonly received: readonly Uint8Array[];
  /** Batches taken and given back. */
  readonly resumed: number;
  readonly closed: boolean;
  /** The host sends packets through the interface. */
  host(...packets: readonly Uint8Array[]): void;
  lose(failure: Failure): void;
}

export function fakeTun(): FakeTun {
  const received: Uint8Array[] = [];
  let onBatch: ((batch: Uint8Array) => void) | undefined;
  let onLost: ((failure: Failure) => void) | undefined;
  let resumed = 0;
  let closed = false;
  return {
    name: 'fake0',
    received,
    get resumed() {
      return resumed;
    },
    get closed() {
      return closed;
    },
    start(batch, lost) {
      onBatch = batch;
      onLost = lost;
    },
    resume: () => void resumed++,
    write(batch) {
      const written = [...frames(batch)].map((packet) => Uint8Array.from(packet));
      received.push(...written);
      return { packets: written.length, dropped: 0 };
    },
    close: () => {
      closed = true;
    },
    host: (...packets) =>
      onBatch!(
        concat(
          ...packets.map((packet) => concat(Uint8Array.of(packet.length >> 8, packet.length & 255), packet)),
        ),
      ),
    lose: (failure) => onLost!(failure),
  };
}

/** An IPv6 packet of a UDP-like payload. */
export function packet6(
  source: Uint8Array,
  destination: Uint8Array,
  payload: Uint8Array = new Uint8Array(8),
): Uint8Array {
  const head = Uint8Array.of(0x60, 0, 0, 0, payload.length >> 8, payload.length & 255, 17, 64);
  return concat(head, source, destination, payload);
}
