import { execFileSync } from 'node:child_process';
import { createPrivateKey, X509Certificate } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { type AddressInfo, createServer as createTcpServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createServer, type TlsOptions as ServerOptions, type TLSSocket } from 'node:tls';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { dial } from '../../os/dial.ts';
import { connectTls, type TlsOptions } from '../../os/tls.ts';
import { fromHex } from '../../protocol/bytes.ts';

let folder: string;
const servers: Server[] = [];

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'enf-tls-'));
  // As enftun's world has them: X.509 v1 root, v1 and v3 router certificates with names that match nothing.
  for (const root of ['root', 'other']) {
    key(root);
    openssl('req', '-new', '-key', path(root, 'key'), '-subj', `/CN=${root}`, '-out', path(root, 'csr'));
    openssl(
      'x509',
      '-req',
      '-in',
      path(root, 'csr'),
      '-signkey',
      path(root, 'key'),
      '-days',
      '3650',
      '-out',
      path(root, 'crt'),
    );
  }
  writeFileSync(path('v3', 'ext'), 'basicConstraints=critical,CA:FALSE\nsubjectAltName=DNS:router.example\n');
  issue('v1', 'root', '3650');
  issue('v3', 'root', '3650', '-extfile', path('v3', 'ext'));
  issue('expired', 'root', '-1');
  issue('foreign', 'other', '3650');
});
afterEach(() => {
  for (const server of servers.splice(0)) server.close();
});
afterAll(() => rmSync(folder, { recursive: true }));

function path(name: string, kind: string): string {
  return join(folder, `${name}.${kind}`);
}
function read(name: string, kind: string): string {
  return readFileSync(path(name, kind), 'utf8');
}
function openssl(...argv: readonly string[]): void {
  execFileSync('openssl', argv, { stdio: 'pipe' });
}
function key(name: string): void {
  openssl('ecparam', '-name', 'prime256v1', '-genkey', '-noout', '-out', path(name, 'key'));
}
function issue(name: string, issuer: string, days: string, ...more: readonly string[]): void {
  key(name);
  openssl('req', '-new', '-key', path(name, 'key'), '-subj', `/CN=${name}`, '-out', path(name, 'csr'));
  const ca = ['-CA', path(issuer, 'crt'), '-CAkey', path(issuer, 'key'), '-CAcreateserial'];
  openssl('x509', '-req', '-in', path(name, 'csr'), ...ca, '-days', days, '-out', path(name, 'crt'), ...more);
}

/** An identity as the C programs made it: X.509 v1, valid from the year 0 to 9999. */
const vector = JSON.parse(
  readFileSync(new URL('../vectors/xtt-suite1-chacha20poly1305_sha512.json', import.meta.url), 'utf8'),
).handshakes[0];
const identity = {
  certificate: fromHex(vector.x509_certificate_der),
  key: createPrivateKey({
    key: Buffer.from(fromHex(vector.longterm_private_key_file)),
    format: 'der',
    type: 'sec1',
  }),
};

async function listen<S extends Server>(server: S): Promise<number> {
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return (server.address() as AddressInfo).port;
}

async function router(
  name: string,
  options: ServerOptions = {},
  onConnection: (socket: TLSSocket) => void = () => {},
) {
  const server = createServer(
    {
      cert: read(name, 'crt'),
      key: read(name, 'key'),
      requestCert: true,
      rejectUnauthorized: false,
      ...options,
    },
    (socket) => {
      socket.on('error', () => {});
      onConnection(socket);
    },
  );
  return listen(server);
}

async function secure(port: number, options: Partial<TlsOptions> = {}): Promise<TLSSocket> {
  const socket = await dial({ hosts: ['127.0.0.1'], port, timeoutMs: 20_000 });
  return connectTls({ socket, ca: read('root', 'crt'), ...identity, timeoutMs: 20_000, ...options });
}

async function refused(port: number, options: Partial<TlsOptions> = {}): Promise<unknown> {
  const socket = await dial({ hosts: ['127.0.0.1'], port, timeoutMs: 20_000 });
  const error = await connectTls({
    socket,
    ca: read('root', 'crt'),
    ...identity,
    timeoutMs: 20_000,
    ...options,
  }).then(
    () => expect.unreachable('the handshake went through'),
    (reason: unknown) => reason,
  );
  expect(socket.destroyed).toBe(true);
  return error;
}

function failing(code: string, remedy = 'retry') {
  return expect.objectContaining({ name: 'Failure', code, remedy });
}

describe('a handshake succeeds', () => {
  test.each(['v1', 'v3'])('with a %s router certificate; ours arrives, no name is sent', async (name) => {
    const seen = new Promise<TLSSocket>((resolve) => {
      void router(name, {}, resolve).then(async (port) => {
        const socket = await secure(port);
        socket.write('hello');
      });
    });
    const server = await seen;
    expect(String(await new Promise((resolve) => server.once('data', resolve)))).toBe('hello');
    expect(server.servername).toBe(false);
    expect(server.alpnProtocol).toBe(false);
    expect(Uint8Array.from(server.getPeerCertificate().raw)).toEqual(identity.certificate);
    server.destroy();
  });

  test('in TLS 1.2 and 1.3, with the key as PEM', async () => {
    const pem = identity.key.export({ type: 'pkcs8', format: 'pem' }).toString();
    for (const version of ['TLSv1.2', 'TLSv1.3'] as const) {
      const socket = await secure(await router('v1', { maxVersion: version }), { key: pem });
      expect(socket.getProtocol()).toBe(version);
      socket.destroy();
    }
  });

  test('with a protocol name agreed only if both know one', async () => {
    const knows = await secure(await router('v1', { ALPNProtocols: ['enf/1'] }), { alpn: ['enf/1'] });
    expect(knows.alpnProtocol).toBe('enf/1');
    knows.destroy();
    const plain = await secure(await router('v1'), { alpn: ['enf/1'] });
    expect(plain.alpnProtocol).toBe(false);
    plain.destroy();
  });

  test('while two roots are trusted', async () => {
    const ca = `${read('other', 'crt')}${read('root', 'crt')}`;
    for (const name of ['v1', 'foreign']) (await secure(await router(name), { ca })).destroy();
  });

  test('and a reset afterwards ends the socket, not the process', async () => {
    let finished: (() => void) | undefined;
    const both = new Promise<void>((resolve) => {
      finished = resolve;
    });
    const port = await router('v1', {}, () => finished!());
    const raw = new Promise<Socket>((resolve) => servers.at(-1)!.once('connection', resolve));
    const socket = await secure(port);
    await both;
    (await raw).resetAndDestroy();
    await new Promise((resolve) => socket.on('close', resolve));
    expect(socket.errored).toMatchObject({ code: 'ECONNRESET' });
  });
});

describe('a handshake fails', () => {
  test('with a router of another root', async () => {
    expect(await refused(await router('foreign'))).toEqual(failing('tls.untrusted-server'));
  });

  test('with a self-signed router, even a root of the same name', async () => {
    expect(await refused(await router('other'))).toEqual(failing('tls.untrusted-server'));
  });

  test('with a root that is not the router’s', async () => {
    expect(await refused(await router('v1'), { ca: read('other', 'crt') })).toEqual(
      failing('tls.untrusted-server'),
    );
  });

  test('with an expired certificate, naming the clock', async () => {
    const error = await refused(await router('expired'));
    expect(error).toEqual(failing('tls.clock'));
    expect((error as Error).message).toMatch(/clock \(\d{4}-\d\d-\d\dT.*CERT_HAS_EXPIRED/);
  });

  test('with TLS 1.1', async () => {
    const port = await router('v1', {
      minVersion: 'TLSv1',
      maxVersion: 'TLSv1.1',
      ciphers: 'DEFAULT@SECLEVEL=0',
    });
    expect(await refused(port)).toEqual(failing('tls.handshake-failed'));
  });

  test('with a peer that speaks something else, closes, resets or stays silent', async () => {
    const http = await listen(
      createTcpServer((socket) => socket.on('error', () => {}).end('HTTP/1.1 400 Bad Request\r\n\r\n')),
    );
    expect(await refused(http)).toEqual(failing('tls.handshake-failed'));
    const closing = await listen(createTcpServer((socket) => socket.on('error', () => {}).end()));
    expect(await refused(closing)).toEqual(failing('tls.handshake-failed'));
    const resetting = await listen(
      createTcpServer((socket) => socket.once('data', () => socket.resetAndDestroy())),
    );
    expect(await refused(resetting)).toEqual(failing('tls.handshake-failed'));
    const silent = await listen(createTcpServer((socket) => void socket.on('error', () => {})));
    const error = await refused(silent, { timeoutMs: 100 });
    expect(error).toEqual(failing('tls.handshake-failed'));
    expect((error as Error).message).toContain('100 ms');
  });

  test('on a socket that is closed already', async () => {
    const socket = await dial({ hosts: ['127.0.0.1'], port: await router('v1'), timeoutMs: 20_000 });
    socket.destroy();
    const attempt = connectTls({ socket, ca: read('root', 'crt'), ...identity, timeoutMs: 20_000 });
    await expect(attempt).rejects.toEqual(failing('tls.handshake-failed'));
  });

  test('with credentials that cannot be used', async () => {
    const port = await router('v1');
    const unusable = failing('tls.bad-credentials', 'operator');
    expect(await refused(port, { key: read('other', 'key') })).toEqual(unusable);
    expect(await refused(port, { key: 'no key' })).toEqual(unusable);
    expect(await refused(port, { certificate: identity.certificate.subarray(1) })).toEqual(unusable);
    expect(await refused(port, { ca: 'no root' })).toEqual(failing('tls.bad-root', 'operator'));
  });
});

test('the test’s certificates are what they claim', () => {
  expect(new X509Certificate(read('v3', 'crt')).subjectAltName).toBe('DNS:router.example');
  expect(new X509Certificate(read('v1', 'crt')).subjectAltName).toBeUndefined();
});
