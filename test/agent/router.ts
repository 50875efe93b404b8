import { execFileSync } from 'node:child_process';
import { closeSync, fstatSync, mkdtempSync, readFileSync, readSync, rmSync, writeSync } from 'node:fs';
import type { AddressInfo, Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createServer, type TLSSocket } from 'node:tls';
import { onTestFinished } from 'vitest';
import { concat } from '../../protocol/bytes.ts';
import { encodeFrame, frameReader } from '../../protocol/tunnel/frame.ts';
import { echoReply } from '../../protocol/tunnel/icmp6.ts';
import { ALPN_CONTROL } from '../../protocol/tunnel/wire.ts';
import type { TunDevice } from '../../tunnel/client.ts';
import { packetPair } from '../native/packetpair.ts';

/** A TLS root and a router certificate under it, PEM; made by openssl, not by the code under test. */
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

/** A router on loopback that answers heartbeats unless it is to be silent; the test sends the rest. */
export async function startTestRouter(options: {
  certificate: string;
  key: string;
  silent?: boolean;
  /** Another place than a port of 127.0.0.1 that is free. */
  listen?: { readonly host: string; readonly port: number };
  /** The ALPN protocols it supports; without any it is an enftun router. */
  alpn?: readonly string[];
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
    ALPNProtocols: [...(options.alpn ?? [ALPN_CONTROL])],
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
  const { host, port } = options.listen ?? { host: '127.0.0.1', port: 0 };
  await new Promise<void>((resolve) => server.listen(port, host, resolve));
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

/** In place of a TUN without offload: one end of a pair of sockets is the device, the other one the host's network stack. */
export interface FakeTun extends TunDevice {
  /** What the tunnel has delivered. */
  readonly received: readonly Uint8Array[];
  /** True once the tunnel has closed the device. */
  readonly closed: boolean;
  /** The host sends packets through the interface. */
  host(...packets: readonly Uint8Array[]): void;
  /** Takes the device away. */
  lose(): void;
}

export function fakeTun(): FakeTun {
  const [device, host] = packetPair();
  const { ino } = fstatSync(device);
  const received: Uint8Array[] = [];
  let open = true;
  const end = (): void => {
    if (open) closeSync(host);
    open = false;
  };
  /** Takes what has come; there is no event for it, so that everybody who asks looks. */
  const look = (): void => {
    const packet = new Uint8Array(65_536);
    while (open) {
      let length: number;
      try {
        length = readSync(host, packet);
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code === 'EAGAIN') return;
        throw error;
      }
      if (length === 0) return;
      received.push(packet.slice(0, length));
    }
  };
  onTestFinished(end);
  return {
    name: 'fake0',
    fd: device,
    offload: 0,
    get received() {
      look();
      return received;
    },
    get closed() {
      try {
        return fstatSync(device).ino !== ino; // another file has its number
      } catch {
        return true;
      }
    },
    close: () => closeSync(device),
    host: (...packets) => {
      for (const packet of packets) writeSync(host, packet);
    },
    lose: end,
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
