import { execFileSync } from 'node:child_process';
import { createHash, X509Certificate } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TLSSocket } from 'node:tls';
import { onTestFinished } from 'vitest';

/*
 * An EST server (RFC 7030) of node:https and the openssl program: nothing of it is the code under test. It gives the address of a code, and then of the
 * certificate, and the same certificate again to the same key.
 */

export interface EstRequest {
  readonly operation: string;
  /** The code of HTTP Basic. */
  readonly code: string | undefined;
  /** Serial number of the client's certificate. */
  readonly client: string | undefined;
  /** SHA-256 of the public key in the PKCS #10 that came. */
  readonly key: string | undefined;
  /** What openssl prints of it. */
  readonly text: string;
}

export interface EstAnswer {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body: string | Buffer;
}

export interface Wanted {
  readonly addresses: readonly string[];
  /** When it begins and ends, in seconds from now. */
  readonly from?: number;
  readonly to?: number;
  readonly by?: Ca;
  /** A file with another public key than the request's. */
  readonly key?: string;
  readonly extensions?: readonly string[];
}

export interface Ca {
  readonly file: string;
  readonly keyFile: string;
}

export interface EstServer {
  readonly port: number;
  readonly url: string;
  /** PEM file of the root that vouches for the server. */
  readonly tlsRoot: string;
  /** The CA that signs devices: its files, and PEM. */
  readonly devices: Ca;
  readonly ca: string;
  /** Codes and the addresses that they are for. */
  readonly codes: Map<string, string>;
  readonly requests: readonly EstRequest[];
  /** Serial numbers of certificates that get no other one. */
  readonly revoked: Set<string>;
  /** How certificates are made that nobody has said anything else of. */
  readonly usual: {
    to: number;
    answer?: (request: EstRequest, usual: () => EstAnswer) => EstAnswer | undefined;
  };
  /** PEM of a certificate for the request that came last. */
  issue(wanted: Wanted): string;
  makeCa(name: string, by?: Ca): Ca;
  makeKey(): string;
  /** The PKCS #7 with these certificates (PEM), base64 in lines. */
  bundle(...certificates: readonly string[]): string;
  close(): Promise<void>;
}

const utc = (seconds: number): string =>
  `${new Date(Date.now() + 1_000 * seconds).toISOString().replace(/[-:T]|\.\d+Z$/g, '')}Z`;

export async function startEstServer(): Promise<EstServer> {
  const folder = mkdtempSync(join(tmpdir(), 'enf-est-'));
  const path = (name: string): string => join(folder, name);
  const openssl = (...args: readonly string[]): string =>
    execFileSync('openssl', [...args], { cwd: folder, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
  let made = 0;

  const makeKey = (): string => {
    const file = path(`k${++made}.key`);
    openssl('genpkey', '-algorithm', 'EC', '-pkeyopt', 'ec_paramgen_curve:P-256', '-out', file);
    return file;
  };

  /** Signs the request in a file. */
  const sign = (
    csr: string,
    by: Ca | string,
    { from = -300, to = 0, key }: Omit<Wanted, 'addresses'>,
    extensions: readonly string[],
  ): string => {
    const name = `s${++made}`;
    writeFileSync(path(`${name}.index`), '');
    writeFileSync(path(`${name}.serial`), (made + 0x1000).toString(16));
    writeFileSync(
      path(`${name}.cnf`),
      `[ca]\ndefault_ca=d\n[d]\ndatabase=${name}.index\nnew_certs_dir=.\nserial=${name}.serial\ndefault_md=sha256\npolicy=p\nunique_subject=no\n[p]\ncommonName=optional\n[x]\n${extensions.join('\n')}\n`,
    );
    // A request for another key: as whoever mixes up two machines would answer.
    const asked = key === undefined ? csr : path(`${name}.other.csr`);
    if (key !== undefined) openssl('req', '-new', '-key', key, '-subj', '/CN=other', '-out', asked);
    openssl(
      ...['ca', '-batch', '-notext', '-config', `${name}.cnf`, '-extensions', 'x', '-in', asked],
      ...['-startdate', utc(from), '-enddate', utc(to), '-out', path(`${name}.pem`)],
      ...(typeof by === 'string'
        ? ['-selfsign', '-keyfile', by]
        : ['-cert', by.file, '-keyfile', by.keyFile]),
    );
    return path(`${name}.pem`);
  };

  const makeCa = (name: string, by?: Ca): Ca => {
    const keyFile = makeKey();
    const csr = path(`ca${++made}.csr`);
    openssl('req', '-new', '-key', keyFile, '-subj', `/CN=${name}`, '-out', csr);
    const extensions = ['basicConstraints=critical,CA:TRUE', 'subjectKeyIdentifier=hash'];
    return { file: sign(csr, by ?? keyFile, { to: 86_400 * 3_000 }, extensions), keyFile };
  };

  const tls = makeCa('TLS root');
  const serverKey = makeKey();
  openssl('req', '-new', '-key', serverKey, '-subj', '/CN=est', '-out', path('server.csr'));
  const serverFile = sign(path('server.csr'), tls, { to: 86_400 * 300 }, [
    'subjectAltName=IP:127.0.0.1,DNS:localhost',
    'extendedKeyUsage=serverAuth',
  ]);
  const ca = makeCa('Devices');
  const requests: EstRequest[] = [];
  const codes = new Map<string, string>();
  const revoked = new Set<string>();
  /** What was given, by code or serial number and key. */
  const given = new Map<string, string>();
  const usedBy = new Map<string, string>();
  const usual: EstServer['usual'] = { to: 90 * 86_400 };

  const issue = ({ addresses, by = ca, extensions = [], ...wanted }: Wanted): string =>
    readFileSync(
      sign(path('last.csr'), by, { to: usual.to, ...wanted }, [
        ...['basicConstraints=CA:FALSE', 'extendedKeyUsage=clientAuth', ...extensions],
        ...(addresses.length === 0
          ? []
          : [`subjectAltName=${addresses.map((each) => `IP:${each}`).join(',')}`]),
      ]),
      'utf8',
    );

  const bundle = (...certificates: readonly string[]): string => {
    writeFileSync(path('bundle.pem'), certificates.join(''));
    openssl('crl2pkcs7', '-nocrl', '-certfile', 'bundle.pem', '-outform', 'DER', '-out', path('bundle.p7'));
    return `${readFileSync(path('bundle.p7'))
      .toString('base64')
      .match(/.{1,64}/g)!
      .join('\n')}\n`;
  };
  const certsOnly = (...certificates: readonly string[]): EstAnswer => ({
    status: 200,
    headers: { 'content-type': 'application/pkcs7-mime; smime-type=certs-only' },
    body: bundle(...certificates),
  });
  const refusal = (status: number, words: string): EstAnswer => ({
    status,
    headers: { 'content-type': 'text/plain' },
    body: `${words}\nAsk somebody.\n`,
  });

  const once = (who: string, key: string, address: string): EstAnswer => {
    const id = `${who} ${key}`;
    if (!given.has(id)) given.set(id, issue({ addresses: [address] }));
    return certsOnly(given.get(id)!);
  };

  const answer = (request: EstRequest, client: X509Certificate | undefined): EstAnswer => {
    const { operation, code, key } = request;
    if (operation === 'cacerts') return certsOnly(readFileSync(ca.file, 'utf8'));
    if (operation === 'simpleenroll') {
      const address = code === undefined ? undefined : codes.get(code);
      if (address === undefined || key === undefined) return refusal(401, 'est.unknown-code: no such code');
      const owner = usedBy.get(code!) ?? key;
      if (owner !== key) return refusal(401, 'est.code-used: the code was used');
      usedBy.set(code!, key);
      return once(code!, key, address);
    }
    if (operation !== 'simplereenroll') return refusal(404, 'nothing here');
    if (client === undefined || key === undefined) return refusal(401, 'no certificate');
    if (revoked.has(client.serialNumber)) return refusal(403, 'est.revoked: the certificate was revoked');
    return once(client.serialNumber, key, client.subjectAltName!.replace('IP Address:', ''));
  };

  /** Looks at a PKCS #10 as any server would: the signature has to be that of the key inside. */
  const readRequest = (body: string): Pick<EstRequest, 'key' | 'text'> => {
    if (body === '') return { key: undefined, text: '' };
    writeFileSync(path('last.der'), Buffer.from(body, 'base64'));
    openssl('req', '-verify', '-noout', '-inform', 'DER', '-in', path('last.der'));
    openssl('req', '-inform', 'DER', '-in', path('last.der'), '-out', path('last.csr'));
    const key = createHash('sha256')
      .update(openssl('req', '-noout', '-pubkey', '-in', path('last.csr')))
      .digest('hex');
    return { key, text: openssl('req', '-noout', '-text', '-in', path('last.csr')) };
  };

  const server = createServer({
    key: readFileSync(serverKey),
    cert: readFileSync(serverFile),
    ca: readFileSync(ca.file),
    ...{ requestCert: true, rejectUnauthorized: false },
  });
  server.on('request', (incoming, response) => {
    let body = '';
    incoming.setEncoding('latin1').on('data', (chunk: string) => {
      body += chunk;
    });
    incoming.on('end', () => {
      const socket = incoming.socket as TLSSocket;
      const client = socket.authorized ? new X509Certificate(socket.getPeerCertificate().raw) : undefined;
      const basic = /^Basic (.*)$/.exec(incoming.headers.authorization ?? '')?.[1];
      const request: EstRequest = {
        operation: incoming.url!.replace('/.well-known/est/', ''),
        code: basic && Buffer.from(basic, 'base64').toString().split(':')[1],
        client: client?.serialNumber,
        ...readRequest(body),
      };
      requests.push(request);
      const ordinary = (): EstAnswer => answer(request, client);
      const chosen = usual.answer === undefined ? ordinary() : usual.answer(request, ordinary);
      // Undefined: it never answers.
      if (chosen === undefined) return;
      response.writeHead(chosen.status, chosen.headers);
      response.end(chosen.body);
    });
  });
  server.on('tlsClientError', () => {});
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return {
    ...{ port, url: `https://127.0.0.1:${port}/.well-known/est`, tlsRoot: tls.file },
    ...{
      devices: ca,
      ca: readFileSync(ca.file, 'utf8'),
      codes,
      requests,
      revoked,
      usual,
      issue,
      makeCa,
      makeKey,
      bundle,
    },
    close: () =>
      new Promise((closed) => {
        server.close(() => {
          rmSync(folder, { recursive: true, force: true });
          closed();
        });
        server.closeAllConnections();
      }),
  };
}

/** One that ends with the test. */
export async function estServerForTest(): Promise<EstServer> {
  const server = await startEstServer();
  onTestFinished(() => server.close());
  return server;
}
