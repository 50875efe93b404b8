import type { Socket } from 'node:net';
import { connect, type TLSSocket } from 'node:tls';
import { Failure, isFailure } from '../../protocol/failure.ts';
import { readBody } from './body.ts';
import { aborted, describeTargets } from './connect.ts';
import { type DialOptions, dial } from './dial.ts';
import { request } from './http.ts';
import { isAboutDates, misnamed } from './server-name.ts';

/** One request to a server that roots of ours vouch for. */
export interface TrustedRequest extends DialOptions {
  readonly hosts: readonly string[];
  /** PEM of the roots that the server's certificate may lead to. */
  readonly ca: string;
  /** Of which it has to have one; empty: none is checked. */
  readonly names: readonly string[];
  /** What we prove ourselves with: PEM of the certificate and those above it, and its key, which may only name one in a TPM. */
  readonly client?: { readonly certificate: string; readonly key: string };
  readonly method: 'GET' | 'POST';
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
  /** The longest body of an answer that is read. */
  readonly answerBytes: number;
}

export interface TrustedAnswer {
  readonly status: number;
  /** Content-Type. */
  readonly type: string;
  /** Retry-After, as it was sent. */
  readonly retryAfter: string | undefined;
  readonly body: Uint8Array;
}

const HEADER_BYTES = 8_192;

/**
 * Sends a request over TLS 1.2 or newer and reads the answer; redirects are not followed. `timeoutMs` is for the connection, again for the handshake, and
 * again for the answer. Nothing is sent to a server that the roots do not vouch for.
 * @throws Failure as `dial`, `tls.clock`, `tls.untrusted-server`, `tls.wrong-name`, `tls.handshake-failed`, `net.bad-answer`, `net.timeout`
 */
export async function requestTrusted(options: TrustedRequest): Promise<TrustedAnswer> {
  const secure = await handshake(await dial(options), options);
  try {
    return await within(secure, options, (settle, reject) => ask(secure, options, settle, reject));
  } finally {
    secure.destroy();
  }
}

const whereOf = (request: TrustedRequest): string => describeTargets(request);

/** Calls `work` with a deadline; what is late or called off destroys the socket. */
function within<T>(
  socket: Socket,
  options: TrustedRequest,
  work: (settle: (value: T) => void, reject: (error: Failure) => void) => void,
): Promise<T> {
  const { timeoutMs, signal } = options;
  return new Promise<T>((resolve, reject) => {
    const end = (): void => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', calledOff);
    };
    const fail = (error: Failure): void => {
      end();
      socket.destroy();
      reject(error);
    };
    const calledOff = (): void => fail(aborted(signal!));
    const timer = setTimeout(() => fail(late(options)), timeoutMs);
    signal?.addEventListener('abort', calledOff, { once: true });
    if (signal?.aborted) return calledOff();
    work((value) => {
      end();
      resolve(value);
    }, fail);
  });
}

function handshake(socket: Socket, options: TrustedRequest): Promise<TLSSocket> {
  const { ca, names, client } = options;
  return within(socket, options, (settle, reject) => {
    const failed = (error: NodeJS.ErrnoException): void => reject(handshakeFailed(error, options));
    let secure: TLSSocket;
    try {
      // Whom the certificate is for is looked at below: the roots of a fabric sign its servers and nothing else.
      secure = connect({
        ...{ socket, ca, minVersion: 'TLSv1.2', rejectUnauthorized: false, ALPNProtocols: ['http/1.1'] },
        ...(client !== undefined && { cert: client.certificate, key: client.key }),
        checkServerIdentity: () => undefined,
      });
    } catch (error) {
      return failed(error as NodeJS.ErrnoException);
    }
    secure.once('error', failed);
    const closed = (): void => failed(new Error('the server closed the connection'));
    secure.once('close', closed);
    secure.once('secureConnect', () => {
      const reason = secure.authorizationError as unknown as string | null;
      if (!secure.authorized) return reject(untrusted(reason ?? 'unknown', options));
      const wrong = misnamed(secure.getPeerX509Certificate(), names);
      if (wrong !== undefined) return reject(wrongName(wrong, options));
      secure.off('close', closed);
      secure.off('error', failed);
      // An error between two uses shows in the next one.
      secure.on('error', () => {});
      settle(secure);
    });
  });
}

function ask(
  secure: TLSSocket,
  options: TrustedRequest,
  settle: (answer: TrustedAnswer) => void,
  reject: (error: Failure) => void,
): void {
  const { method, path, hosts, port, body, headers = {}, answerBytes } = options;
  const host = hosts[0]!;
  const failed = (error: NodeJS.ErrnoException): void =>
    reject(isFailure(error) ? error : broken(error, options));
  const outgoing = request({
    ...{ method, path, createConnection: () => secure, maxHeaderSize: HEADER_BYTES },
    headers: {
      ...{ host: `${host.includes(':') ? `[${host}]` : host}:${port}`, connection: 'close', ...headers },
      ...(body !== undefined && { 'content-length': String(Buffer.byteLength(body)) }),
    },
  });
  outgoing.once('error', failed);
  outgoing.once('response', (response) => {
    readBody(response, answerBytes).then((bytes) => {
      if (bytes === undefined)
        return reject(badAnswer(`an answer of more than ${answerBytes} bytes`, options));
      const { statusCode = 0, headers: got } = response;
      settle({
        status: statusCode,
        type: got['content-type'] ?? '',
        retryAfter: got['retry-after'],
        body: bytes,
      });
    }, failed);
  });
  outgoing.end(body);
}

const late = (options: TrustedRequest): Failure =>
  new Failure('net.timeout', 'retry', `no answer from ${whereOf(options)} in ${options.timeoutMs} ms`, {
    action: 'Check that the server is up and that no firewall drops the packets on the way.',
  });

function handshakeFailed(error: NodeJS.ErrnoException, options: TrustedRequest): Failure {
  const why = error.code ?? error.message;
  return new Failure('tls.handshake-failed', 'retry', `no TLS handshake with ${whereOf(options)}: ${why}`, {
    action: 'Check that host and port are those of the server, and its log.',
    cause: error,
  });
}

function untrusted(reason: string, options: TrustedRequest): Failure {
  if (isAboutDates(reason)) {
    return new Failure(
      'tls.clock',
      'retry',
      `by this device's clock (${new Date().toISOString()}) the certificate of ${whereOf(options)} is not valid (${reason})`,
      { action: 'Set the clock; if it is right, renew the certificate of the server.' },
    );
  }
  return new Failure(
    'tls.untrusted-server',
    'retry',
    `the certificate of ${whereOf(options)} does not lead to the configured root (${reason}); nothing was sent to it`,
    {
      action:
        'Check host, port and remote.tls-root, and whether a captive portal or an inspecting proxy answers in its place.',
    },
  );
}

const wrongName = (reason: string, options: TrustedRequest): Failure =>
  new Failure(
    'tls.wrong-name',
    'retry',
    `the certificate of ${whereOf(options)} leads to the configured root, but is another server's (${reason}); nothing was sent to it`,
    { action: 'Check host and port; give the server a certificate with that name and serverAuth.' },
  );

/** What a server does that our roots vouch for: TLS alerts behind the handshake, too, which in TLS 1.3 refuse a client's certificate. */
function broken(error: NodeJS.ErrnoException, options: TrustedRequest): Failure {
  const code = error.code ?? error.message;
  if (code.startsWith('ERR_SSL')) return handshakeFailed(error, options);
  return badAnswer(`no whole answer in HTTP (${code})`, options);
}

const badAnswer = (got: string, options: TrustedRequest): Failure =>
  new Failure('net.bad-answer', 'retry', `${whereOf(options)} gives ${got}`, {
    action: 'Check that host, port and path are those of the server, and its log.',
  });
