import { constants } from 'node:crypto';
import { createServer, type Socket } from 'node:net';
import { createServer as createTlsServer, type TLSSocket, type Server as TlsServer } from 'node:tls';
import { Failure } from '../../protocol/failure.ts';
import { ALPN } from '../../protocol/tunnel/verdict.ts';
import { formatListen, listen } from '../listen.ts';
import { peerAddress, sourceOf } from '../peer.ts';
import type { Gate } from './gate.ts';
import type { Connection } from './parting.ts';

/** A router's ear: TCP and TLS up to the end of the handshake. */
export interface Listener {
  readonly port: number;
  /** Stops to accept, drops unfinished handshakes and waits until every other connection is gone, too. */
  close(): Promise<void>;
  /** Destroys whatever is still open, so that `close` can return. */
  drop(): void;
}

export interface ListenOptions {
  readonly listen: { readonly host: string; readonly port: number };
  /** PEM. */
  readonly certificate: string;
  readonly key: string;
  readonly gate: Gate;
  readonly handshakeMs: number;
  /** A connection whose handshake is complete. Its certificate was proven, and nothing else. */
  readonly onConnection: (connection: Connection) => void;
}

/** As enftun does it: found dead after 300 s of silence and the probes that follow. */
const KEEPALIVE_MS = 300_000;

/**
 * Listens for tunnels: TLS 1.2 or 1.3, a client certificate asked for without any chain, no renegotiation, no
 * resumption (enftun.md §3).
 * @throws Failure `router.bad-certificate`, `net.port-busy`, `net.port-not-permitted`, `net.no-such-address`
 */
export async function listenTls(options: ListenOptions): Promise<Listener> {
  const { gate } = options;
  const tlsServer = createHandshaker(options);
  /** Every open connection, by its ends. */
  const open = new Map<string, Socket>();
  /** Those of them that hold no place at the gate any more. */
  const handshaken = new Set<Socket>();

  const server = createServer((raw) => {
    const source = sourceOf(raw.remoteAddress);
    const ends = endsOf(raw);
    raw.on('error', () => {});
    if (ends === undefined || !gate.enter(source)) {
      raw.destroy();
      return;
    }
    raw.setNoDelay(true);
    raw.setKeepAlive(true, KEEPALIVE_MS);
    open.set(ends, raw);
    raw.once('close', () => {
      // The kernel may have given the same ends to a new connection before this one's end got here.
      if (open.get(ends) === raw) open.delete(ends);
      if (!handshaken.delete(raw)) {
        gate.leave(source);
        gate.refused(source);
      }
    });
    tlsServer.emit('connection', raw);
  });

  tlsServer.on('secureConnection', (tls: TLSSocket) => {
    const ends = endsOf(tls);
    const raw = ends === undefined ? undefined : open.get(ends);
    tls.on('error', () => {});
    if (raw === undefined) {
      tls.destroy();
      return;
    }
    handshaken.add(raw);
    gate.leave(sourceOf(raw.remoteAddress));
    options.onConnection({ tls, raw, understands: tls.alpnProtocol === ALPN, from: peerOf(raw) });
  });
  tlsServer.on('tlsClientError', (_error, tls: TLSSocket) => tls.destroy());

  const port = await listen(server, options.listen, 'the tunnel router');
  return {
    port,
    close: () => {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      for (const raw of open.values()) if (!handshaken.has(raw)) raw.destroy();
      return closed;
    },
    drop: () => {
      for (const raw of open.values()) raw.destroy();
    },
  };
}

function createHandshaker(options: ListenOptions): TlsServer {
  try {
    return createTlsServer({
      cert: options.certificate,
      key: options.key,
      requestCert: true,
      rejectUnauthorized: false,
      minVersion: 'TLSv1.2',
      handshakeTimeout: options.handshakeMs,
      secureOptions: constants.SSL_OP_NO_RENEGOTIATION | constants.SSL_OP_NO_TICKET,
      // Undefined is the fatal alert of RFC 7301 §3.2 for a peer that offers other names only; enftun offers none.
      ALPNCallback: ({ protocols }) => (protocols.includes(ALPN) ? ALPN : undefined),
    });
  } catch (error) {
    throw new Failure(
      'router.bad-certificate',
      'operator',
      `the router's certificate and key: expected a PEM pair, got one that OpenSSL refuses (${(error as Error).message})`,
      { action: 'Make the certificate and key of the router anew.', cause: error },
    );
  }
}

/** Outer address and port of the peer, as text. */
function peerOf(socket: Socket): string {
  return formatListen({ host: peerAddress(socket.remoteAddress), port: socket.remotePort ?? 0 });
}

/**
 * Unique among the open connections of one listening socket, and the same for the TCP and the TLS socket: Node does
 * not say which TLS socket belongs to which TCP socket. Undefined if the connection is gone already.
 */
function endsOf(socket: Socket): string | undefined {
  return socket.remotePort === undefined ? undefined : `${peerOf(socket)} ${socket.localAddress}`;
}
