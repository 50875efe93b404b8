import { isIPv6 } from 'node:net';
import { type ConnectionOptions, connect } from 'node:tls';
import { dial } from './dial.ts';
import { request } from './http.ts';
import type { HttpProxy } from './proxy.ts';
import { isAboutDates, misnamed } from './server-name.ts';

/** The result of a TLS handshake that is made only to examine the server. */
export interface TlsAnswer {
  /**
   * `trusted`: the chain leads to our root; `dated`: it would, by another clock; `misnamed`: it does, but name or usage are not a router's;
   * `foreign`: to another root; `broken`: no handshake.
   */
  readonly verdict: 'trusted' | 'dated' | 'misnamed' | 'foreign' | 'broken';
  /** OpenSSL's word on it; undefined if trusted. */
  readonly reason?: string;
  /** Common name of the issuer of the server's certificate. */
  readonly issuer?: string;
  readonly connectMs: number;
  readonly handshakeMs: number;
}

export interface HttpAnswer {
  readonly status: number;
  /** The host that it redirects to. */
  readonly redirectsTo?: string;
}

export interface Reach {
  readonly address: string;
  readonly port: number;
  readonly mark: number;
  readonly timeoutMs: number;
  readonly proxy?: HttpProxy | undefined;
}

/** Connects and closes the connection. @returns milliseconds until connected @throws Failure as `dial` */
export async function reach({ address, port, mark, timeoutMs, proxy }: Reach): Promise<number> {
  const start = performance.now();
  (await dial({ hosts: [address], port, mark, timeoutMs, proxy })).destroy();
  return performance.now() - start;
}

/** With these a ClientHello has about 4000 bytes: three packets that fill an Ethernet frame. */
const PADDING = Array.from({ length: 15 }, (_, i) => String(i % 10).repeat(250));

/**
 * A TLS handshake like that of the tunnel, but without our certificate: it shows which server answers. `large` makes the
 * ClientHello larger than a packet, to detect a path that drops full-sized packets. @throws Failure as `dial`
 */
export async function tryTls(
  options: Reach & {
    readonly ca: string;
    /** Of which the certificate must have one; empty: none is checked. */
    readonly names?: readonly string[];
    readonly alpn: string;
    readonly large: boolean;
  },
): Promise<TlsAnswer> {
  const { address, port, mark, timeoutMs, ca, names = [], alpn, large, proxy } = options;
  const start = performance.now();
  const socket = await dial({ hosts: [address], port, mark, timeoutMs, proxy });
  const connectMs = performance.now() - start;
  return new Promise((resolve) => {
    const settings: ConnectionOptions = {
      socket,
      ca,
      rejectUnauthorized: false,
      minVersion: 'TLSv1.2',
      checkServerIdentity: () => undefined,
      ALPNProtocols: large ? [alpn, ...PADDING] : [alpn],
    };
    const secure = connect(settings);
    const finish = (answer: Pick<TlsAnswer, 'verdict' | 'reason' | 'issuer'>): void => {
      clearTimeout(timer);
      resolve({ ...answer, connectMs, handshakeMs: performance.now() - start - connectMs });
      secure.destroy();
    };
    const broken = (reason: string): void => finish({ verdict: 'broken', reason });
    const timer = setTimeout(() => broken(`not finished within ${timeoutMs} ms`), timeoutMs);
    secure.on('error', (error: NodeJS.ErrnoException) => broken(error.code ?? error.message));
    secure.on('close', () => broken('the server closed the connection'));
    secure.once('secureConnect', () => {
      const issuer = secure.getPeerCertificate().issuer?.CN as string | undefined;
      const reason = secure.authorizationError as unknown as string | null;
      const wrong = secure.authorized ? misnamed(secure.getPeerX509Certificate(), names) : undefined;
      if (wrong !== undefined) finish({ verdict: 'misnamed', reason: wrong, ...(issuer && { issuer }) });
      else if (secure.authorized) finish({ verdict: 'trusted', ...(issuer && { issuer }) });
      else
        finish({
          verdict: isAboutDates(reason ?? '') ? 'dated' : 'foreign',
          reason: reason ?? 'unknown',
          ...(issuer && { issuer }),
        });
    });
  });
}

/** Requests / on port 80, as the browser of a user behind a captive portal would. Undefined: no server answers. */
export async function tryHttp({ address, port, mark, timeoutMs }: Reach): Promise<HttpAnswer | undefined> {
  const socket = await dial({ hosts: [address], port, mark, timeoutMs }).catch(() => undefined);
  if (socket === undefined) return undefined;
  return new Promise((resolve) => {
    const host = isIPv6(address) ? `[${address}]` : address;
    const asked = request({ createConnection: () => socket, host, path: '/' });
    const finish = (answer?: HttpAnswer): void => {
      clearTimeout(timer);
      asked.destroy();
      socket.destroy();
      resolve(answer);
    };
    const timer = setTimeout(finish, timeoutMs);
    asked.on('error', () => finish());
    asked.on('response', ({ statusCode = 0, headers: { location } }) => {
      const redirectsTo = location && URL.canParse(location) ? new URL(location).hostname : undefined;
      finish({ status: statusCode, ...(redirectsTo && { redirectsTo }) });
    });
    asked.end();
  });
}
