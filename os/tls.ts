import { type KeyObject, X509Certificate } from 'node:crypto';
import type { Socket } from 'node:net';
import {
  type ConnectionOptions,
  connect,
  createSecureContext,
  type SecureContext,
  type TLSSocket,
} from 'node:tls';
import { Failure } from '../protocol/failure.ts';

export interface TlsOptions {
  /** A connected socket; it belongs to the TLS connection from now on, also when that fails. */
  readonly socket: Socket;
  /** PEM of the root that the router's certificate has to chain to; of several, while a root is being replaced. */
  readonly ca: string;
  /** DER of our own certificate, X.509 v1 or v3. */
  readonly certificate: Uint8Array;
  /** PEM of its private key, or the PEM that names a key in the TPM. */
  readonly key: string | KeyObject;
  /** Offered only if given: an enftun peer knows none. */
  readonly alpn?: readonly string[];
  /** For the whole handshake. */
  readonly timeoutMs: number;
}

/** OpenSSL's verification results that a wrong clock explains. */
const DATES = new Set([
  'CERT_NOT_YET_VALID',
  'CERT_HAS_EXPIRED',
  'ERROR_IN_CERT_NOT_BEFORE_FIELD',
  'ERROR_IN_CERT_NOT_AFTER_FIELD',
]);

/**
 * Performs the TLS handshake of the tunnel (enftun.md §3): TLS 1.2 or later, no SNI, the server's chain to the given root,
 * no name check (the root is ours alone), our certificate. In TLS 1.3 the server's refusal of our certificate comes
 * only later, as the connection's end. The socket has an error listener already; its end shows as `close`.
 * @throws Failure `tls.untrusted-server`, `tls.clock`, `tls.handshake-failed`, `tls.bad-root`, `tls.bad-credentials`
 */
export function connectTls(options: TlsOptions): Promise<TLSSocket> {
  const { socket, alpn, timeoutMs } = options;
  return new Promise((resolve, reject) => {
    const giveUp = (failure: unknown) => {
      clearTimeout(timer);
      secure?.destroy();
      socket.destroy();
      reject(failure);
    };
    const timer = setTimeout(
      () => giveUp(handshakeFailure(`not finished within ${timeoutMs} ms`)),
      timeoutMs,
    );
    let secure: TLSSocket | undefined;
    try {
      const settings: ConnectionOptions = {
        socket,
        secureContext: secureContext(options),
        checkServerIdentity: () => undefined,
      };
      if (alpn !== undefined) settings.ALPNProtocols = [...alpn];
      const opened = connect(settings);
      secure = opened;
      const onError = (error: Error) => giveUp(describe(opened, error));
      const onClose = () => giveUp(handshakeFailure('the server closed the connection'));
      opened.on('error', () => {});
      opened.on('error', onError).on('close', onClose);
      opened.once('secureConnect', () => {
        clearTimeout(timer);
        opened.off('error', onError).off('close', onClose);
        resolve(opened);
      });
    } catch (error) {
      giveUp(error);
    }
  });
}

function secureContext({ ca, certificate, key }: TlsOptions): SecureContext {
  try {
    new X509Certificate(ca); // createSecureContext takes a text without certificates for no roots, and says nothing
  } catch (cause) {
    throw new Failure('tls.bad-root', 'operator', 'the TLS root is not a certificate in PEM', {
      action: 'Check the TLS root that was personalised or configured.',
      cause,
    });
  }
  try {
    return createSecureContext({
      ca,
      cert: pem(certificate),
      key: typeof key === 'string' ? key : key.export({ type: 'pkcs8', format: 'pem' }),
      minVersion: 'TLSv1.2',
    });
  } catch (cause) {
    throw new Failure(
      'tls.bad-credentials',
      'operator',
      `the identity's certificate and key are not usable for TLS (${(cause as NodeJS.ErrnoException).code ?? 'unknown'})`,
      {
        action: 'Check that the certificate and the key belong together, and that the key is this TPM’s.',
        cause,
      },
    );
  }
}

function pem(der: Uint8Array): string {
  const lines =
    Buffer.from(der)
      .toString('base64')
      .match(/.{1,64}/g) ?? [];
  return `-----BEGIN CERTIFICATE-----\n${lines.join('\n')}\n-----END CERTIFICATE-----\n`;
}

/** `authorizationError` is set when the handshake itself went well, but the server's certificate did not convince. */
function describe(socket: TLSSocket, error: NodeJS.ErrnoException): Failure {
  const verdict = (socket.authorizationError as unknown as string | null | undefined) ?? '';
  if (DATES.has(verdict)) {
    return new Failure(
      'tls.clock',
      'retry',
      `by this device's clock (${new Date().toISOString()}) the server's certificate is not valid (${verdict})`,
      {
        action: 'Set the clock; if it is right, renew the router’s certificate.',
        cause: error,
      },
    );
  }
  if (verdict !== '') {
    return new Failure(
      'tls.untrusted-server',
      'retry',
      `the server's certificate does not chain to our TLS root (${verdict})`,
      {
        action:
          'Check the host and port, and whether a captive portal or an inspecting proxy answers in its place.',
        cause: error,
      },
    );
  }
  return handshakeFailure(error.code ?? error.message, error);
}

function handshakeFailure(reason: string, cause?: unknown): Failure {
  return new Failure('tls.handshake-failed', 'retry', `TLS handshake failed: ${reason}`, {
    action: 'Check that the host and port are the router’s, and the router’s log.',
    cause,
  });
}
