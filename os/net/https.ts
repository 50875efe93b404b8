import { createHash } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createRequire } from 'node:module';
import type { Socket } from 'node:net';
import { connect, type DetailedPeerCertificate, type TLSSocket } from 'node:tls';
import { Failure } from '../../protocol/failure.ts';
import { readBody } from './body.ts';
import { type Broken, brokenRequests, LINGER_MS, type WholeAnswer } from './broken-request.ts';
import { request } from './http.ts';
import { type ListenAddress, listen } from './listen.ts';
import { peerAddress } from './peer.ts';

/** As in http.ts. */
const { createServer } = createRequire(import.meta.url)('node:https') as typeof import('node:https');

/** A request whose headers are complete. */
export interface SmallRequest {
  readonly method: string;
  readonly path: string;
  readonly authorization: string | undefined;
  readonly contentType: string | undefined;
  /** Waits for the whole body; undefined if it is too large, or does not come. What can be said without it is said at once. */
  body(): Promise<Uint8Array | undefined>;
  /** The address that it came from. */
  readonly source: string;
  /** The certificate (DER) whose key the client has, whoever has signed it; undefined if none is asked for, or it has shown none. */
  readonly certificate: Uint8Array | undefined;
  /** Those above it that it has shown with it, as far as each names the next, at most four. */
  readonly chain: readonly Uint8Array[];
}

export interface SmallAnswer {
  readonly status: number;
  /** JSON, unless the headers say something else. */
  readonly body: string;
  readonly headers?: Readonly<Record<string, string>>;
}

export interface HttpsOptions {
  /** What it is, for failures: "the station". */
  readonly what: string;
  /** PEM. */
  readonly key: string;
  readonly certificate: string;
  readonly address: ListenAddress;
  /** The oldest version that is spoken; 1.3 unless given. */
  readonly minVersion?: 'TLSv1.2' | 'TLSv1.3';
  /** Clients are asked for a certificate. None is judged here. */
  readonly clientCertificates?: boolean;
  /** Connections at a time. For a further one the crowd that has the most gives up one that waits for nothing of ours. */
  readonly connections: number;
  /** The crowds that an address is of, the widest first; unless given it is one by itself: on one network all of a /64 are others. */
  readonly crowdsOf?: (address: string) => readonly string[];
  /** May a further connection from this address come? If not, it is closed before its TLS handshake. */
  readonly admits?: (address: string) => boolean;
  readonly bodyBytes: number;
  /** The answer to what is no request; its status alone unless given. */
  readonly broken?: (what: Broken) => WholeAnswer;
  /** For a request and its body each; a TLS handshake has less. */
  readonly requestMs: number;
  readonly handle: (request: SmallRequest) => Promise<SmallAnswer>;
  /** Hears of what `handle` throws: its connection ends without an answer, the others go on. */
  readonly onError: (error: unknown, source: string) => void;
}

const HANDSHAKE_MS = 5_000;
const HEADER_BYTES = 8_192;
const MAX_HEADERS = 32;
/** Of a body that nobody wants. */
const LINGER_BYTES = 1_048_576;
const JSON_TYPE = { 'content-type': 'application/json' };

/** A server that is bound. */
export interface HttpsServer {
  readonly port: number;
  /** What connections that begin from now on are shown. */
  replaceTls(tls: Pick<HttpsOptions, 'key' | 'certificate'>): void;
  close(): Promise<void>;
}

/**
 * Serves small requests over TLS, everything bounded: connections, headers, bodies, time. `handle` answers failures itself.
 * @throws Failure those of `listen`
 */
export async function serveHttps(options: HttpsOptions): Promise<HttpsServer> {
  const { address, connections, bodyBytes, requestMs, handle, onError, admits } = options;
  const { clientCertificates = false, minVersion = 'TLSv1.3', crowdsOf = (each) => [each] } = options;
  const { broken = statusAlone } = options;
  const open = openConnections(connections, crowdsOf);
  const secureContext = ({ key, certificate: cert }: Pick<HttpsOptions, 'key' | 'certificate'>) =>
    ({ key, cert, minVersion }) as const;
  const others = brokenRequests(broken);

  async function answered(incoming: IncomingMessage, response: ServerResponse): Promise<SmallAnswer> {
    const source = peerAddress(incoming.socket.remoteAddress);
    const { method = '', url: path = '' } = incoming;
    const { authorization, 'content-type': contentType, host } = incoming.headers;
    if (host === undefined && incoming.httpVersion === '1.1') return broken('malformed');
    const [certificate, ...chain] = clientCertificates ? shownBy(incoming.socket as TLSSocket) : [];
    if (!hasBody(incoming)) open.keep(incoming.socket);
    const body = async (): Promise<Uint8Array | undefined> => {
      if (incoming.headers.expect !== undefined) response.writeContinue();
      const received = await wholeBody(incoming, bodyBytes);
      open.keep(incoming.socket);
      return received;
    };
    try {
      return await handle({ method, path, authorization, contentType, body, source, certificate, chain });
    } catch (error) {
      onError(error, source);
      throw error;
    }
  }

  const respond = (incoming: IncomingMessage, response: ServerResponse): void => {
    void answered(incoming, response)
      .then((answer) => send(incoming, response, answer))
      // There is a mistake in here: this connection ends, the others do not.
      .catch(() => incoming.socket.destroy());
  };
  const server = createServer(
    {
      ...{ ...secureContext(options), handshakeTimeout: HANDSHAKE_MS },
      // Nobody is judged by the authorities of the web, which would be read for it.
      ...{ requestCert: clientCertificates, rejectUnauthorized: false, ca: [] },
      ...{ headersTimeout: requestMs, requestTimeout: requestMs, keepAliveTimeout: requestMs },
      ...{ maxHeaderSize: HEADER_BYTES, connectionsCheckingInterval: 1_000, requireHostHeader: false },
    },
    respond,
  );
  server.on('checkContinue', respond);
  server.on('clientError', others.clientError);
  others.watch(server);
  server.maxHeadersCount = MAX_HEADERS;
  server.on('connection', (socket: Socket) => {
    socket.on('error', () => {});
    if (admits?.(peerAddress(socket.remoteAddress)) === false) socket.destroy();
    else open.add(socket);
  });
  server.on('tlsClientError', (_error, socket) => socket.destroy());
  const port = await listen(server, address, options.what);
  return {
    port,
    replaceTls: (tls) => server.setSecureContext(secureContext(tls)),
    close: () =>
      new Promise((closed) => {
        server.close(() => closed());
        open.end();
      }),
  };
}

const statusAlone = (what: Broken): WholeAnswer => ({ status: STATUS[what], headers: JSON_TYPE, body: '{}' });

const STATUS: Readonly<Record<Broken, number>> = {
  malformed: 400,
  'headers-too-large': 431,
  'too-slow': 408,
  expectation: 417,
  connect: 405,
};

const hasBody = ({ headers }: IncomingMessage): boolean =>
  headers['transfer-encoding'] !== undefined || (headers['content-length'] ?? '0') !== '0';

/** The body; undefined if it has more than `most` bytes, or ends before its end. */
function wholeBody(incoming: IncomingMessage, most: number): Promise<Uint8Array | undefined> {
  if (Number(incoming.headers['content-length'] ?? 0) > most) return Promise.resolve(undefined);
  return new Promise((resolve) => {
    const parts: Buffer[] = [];
    let length = 0;
    const take = (part: Buffer): void => {
      length += part.length;
      parts.push(part);
      if (length > most) done(undefined);
    };
    const done = (body: Uint8Array | undefined): void => {
      incoming.off('data', take);
      resolve(body);
    };
    incoming.on('data', take).once('error', () => done(undefined));
    incoming.once('end', () => done(new Uint8Array(Buffer.concat(parts))));
    incoming.once('close', () => done(undefined));
  });
}

/** Sends an answer, also to whoever is still sending, of whom as much is read as it takes to let the answer arrive. */
async function send(
  incoming: IncomingMessage,
  response: ServerResponse,
  { status, body, headers = JSON_TYPE }: SmallAnswer,
): Promise<void> {
  const length = status === 204 ? {} : { 'content-length': Buffer.byteLength(body) };
  response.writeHead(status, { ...headers, ...length, connection: 'close' });
  if (!incoming.complete) {
    if (body === '') response.flushHeaders();
    else response.write(body);
    await drained(incoming);
    response.end();
  } else response.end(body);
}

/** Resolves when the request has ended, after a while, or after so many bytes. */
function drained(incoming: IncomingMessage): Promise<void> {
  return new Promise((resolve) => {
    let length = 0;
    const timer = setTimeout(resolve, LINGER_MS);
    const done = (): void => {
      clearTimeout(timer);
      resolve();
    };
    incoming.on('data', (part: Buffer) => {
      length += part.length;
      if (length > LINGER_BYTES) done();
    });
    incoming.once('end', done).once('error', done).once('close', done);
  });
}

/** Certificates that are looked at of one client. */
const MOST_SHOWN = 5;

/** The certificates that the peer of a TLS connection has shown, DER, its own first. */
function shownBy(socket: TLSSocket): readonly Uint8Array[] {
  const shown: Uint8Array[] = [];
  let next: Partial<DetailedPeerCertificate> | undefined = socket.getPeerCertificate(true);
  while (next?.raw !== undefined && shown.length < MOST_SHOWN) {
    shown.push(new Uint8Array(next.raw));
    // One that is signed by itself names itself.
    next = next.issuerCertificate === next ? undefined : next.issuerCertificate;
  }
  return shown;
}

interface Connection {
  readonly key: string;
  readonly socket: Socket;
  readonly crowds: readonly string[];
  /** Its request is complete, and is being answered. */
  kept: boolean;
}

/** The connections that are open: never more than `most`, and no crowd keeps the others out. */
function openConnections(
  most: number,
  crowdsOf: (address: string) => readonly string[],
): {
  add(socket: Socket): void;
  keep(socket: Socket): void;
  end(): void;
} {
  const all = new Map<string, Connection>();
  // A TLS socket has the ports of what it runs over, and is another object.
  const keyOf = ({ remoteAddress, remotePort }: Socket): string => `${remoteAddress} ${remotePort}`;

  /** The oldest one that waits, of the widest crowd with the most; in that one of the next, and so on. */
  function surplus(): Connection | undefined {
    const counts = new Map<string, number>();
    for (const { crowds } of all.values())
      for (const crowd of crowds) counts.set(crowd, (counts.get(crowd) ?? 0) + 1);
    let found: Connection | undefined;
    for (const each of all.values())
      if (!each.kept && (found === undefined || isOfMore(each, found, counts))) found = each;
    return found;
  }

  return {
    add(socket) {
      // The peer may be gone already.
      if (socket.remoteAddress === undefined) return void socket.destroy();
      const key = keyOf(socket);
      const connection = { key, socket, crowds: crowdsOf(peerAddress(socket.remoteAddress)), kept: false };
      all.set(key, connection);
      socket.once('close', () => {
        if (all.get(key) === connection) all.delete(key);
      });
      if (all.size <= most) return;
      const gone = surplus();
      if (gone === undefined) return;
      all.delete(gone.key);
      gone.socket.destroy();
    },
    keep(socket) {
      const connection = all.get(keyOf(socket));
      if (connection !== undefined) connection.kept = true;
    },
    end() {
      for (const { socket } of all.values()) socket.destroy();
    },
  };
}

/** Is the one of more than the other, in the widest crowd in which they differ? */
function isOfMore(one: Connection, other: Connection, counts: ReadonlyMap<string, number>): boolean {
  for (let i = 0; i < Math.max(one.crowds.length, other.crowds.length); i++) {
    const [a, b] = [one, other].map(({ crowds }) => counts.get(crowds[i] ?? '') ?? 0) as [number, number];
    if (a !== b) return a > b;
  }
  return false;
}

/** SHA-256 of a certificate in DER, 64 hex digits. */
export const certificateFingerprint = (der: Uint8Array): string =>
  createHash('sha256').update(der).digest('hex');

export interface PinnedRequest {
  /** `https://host:port`. */
  readonly url: string;
  /** SHA-256 of the one certificate that is accepted, 64 hex digits in lower case. */
  readonly fingerprint: string;
  readonly path: string;
  readonly authorization?: string | undefined;
  readonly body: string;
  readonly timeoutMs: number;
  readonly answerBytes: number;
}

/**
 * Posts to a server that is known by its certificate alone; nothing is sent to any other.
 * @throws Failure `net.unreachable`, `net.wrong-certificate`, `net.bad-answer`
 */
export async function postPinned(options: PinnedRequest): Promise<SmallAnswer> {
  const { url, path, authorization, body, timeoutMs, answerBytes } = options;
  const { hostname, host, port } = new URL(url);
  const socket = await connectPinned(options, hostname.replace(/^\[|\]$/g, ''), Number(port || 443));
  return new Promise((resolve, reject) => {
    const gone = (error: unknown): void => {
      socket.destroy();
      reject(error instanceof Failure ? error : unreachable(host, error));
    };
    const outgoing = request(
      {
        ...{
          method: 'POST',
          path,
          host: hostname,
          createConnection: () => socket,
          signal: AbortSignal.timeout(timeoutMs),
        },
        headers: {
          ...{ host, 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) },
          ...(authorization === undefined ? {} : { authorization }),
        },
      },
      (response) => {
        readBody(response, answerBytes).then((bytes) => {
          socket.destroy();
          if (bytes === undefined) reject(badAnswer(host));
          else resolve({ status: response.statusCode ?? 0, body: Buffer.from(bytes).toString('utf8') });
        }, gone);
      },
    );
    outgoing.once('error', gone);
    outgoing.end(body);
  });
}

function connectPinned(
  { fingerprint, timeoutMs }: PinnedRequest,
  host: string,
  port: number,
): Promise<TLSSocket> {
  return new Promise((resolve, reject) => {
    // The certificate is compared below, before anything is sent; TLS 1.3 proves that the peer holds its key.
    const socket = connect({ host, port, rejectUnauthorized: false, minVersion: 'TLSv1.3' });
    const fail = (error: unknown): void => {
      socket.destroy();
      reject(error instanceof Failure ? error : unreachable(`${host}:${port}`, error));
    };
    socket.setTimeout(timeoutMs, () => fail(new Error('no answer')));
    socket.once('error', fail);
    socket.once('secureConnect', () => {
      const shown = certificateFingerprint(socket.getPeerCertificate().raw ?? new Uint8Array());
      if (shown !== fingerprint) return fail(wrongCertificate(`${host}:${port}`, shown));
      socket.off('error', fail);
      socket.on('error', () => {});
      resolve(socket);
    });
  });
}

function unreachable(where: string, cause: unknown): Failure {
  const why = (cause as NodeJS.ErrnoException)?.code ?? (cause as Error)?.message ?? 'closed';
  return new Failure('net.unreachable', 'retry', `no answer from ${where}: ${why}`, {
    action: 'Check that the server runs and that this machine is on its network.',
    cause,
  });
}

function wrongCertificate(where: string, shown: string): Failure {
  return new Failure('net.wrong-certificate', 'operator', `${where} shows another certificate: ${shown}`, {
    action: 'Compare the fingerprint with what the server prints at its start; nothing was sent to it.',
  });
}

function badAnswer(where: string): Failure {
  return new Failure('net.bad-answer', 'retry', `${where} gives an answer that is too long`, {
    action: 'Check the address.',
  });
}
