import { execFileSync } from 'node:child_process';
import { createPrivateKey, X509Certificate } from 'node:crypto';
import { closeSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { type AddressInfo, createServer as createTcpServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createServer, type TlsOptions as ServerOptions, type TLSSocket } from 'node:tls';
import { afterAll, afterEach, beforeAll, describe, expect, onTestFinished, test, vi } from 'vitest';
import { dialDescriptor } from '../../os/net/dial.ts';
import { fromHex } from '../../protocol/bytes.ts';
import type { Failure } from '../../protocol/failure.ts';
import { parseIpv6 } from '../../protocol/ipv6.ts';
import { type ConnectOptions, type DataplaneEvent, startDataplane } from '../../tunnel/client.ts';
import { packetPair } from '../native/packetpair.ts';

let folder: string;
const servers: Server[] = [];

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'enf-dataplane-'));
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
  const extended = (name: string, names: string, usage: string): void => {
    const usages = usage === '' ? '' : `extendedKeyUsage=${usage}\n`;
    writeFileSync(
      path(name, 'ext'),
      `basicConstraints=critical,CA:FALSE\nsubjectAltName=${names}\n${usages}`,
    );
    issue(name, 'root', '3650', '-extfile', path(name, 'ext'));
  };
  extended('named', 'DNS:other.example,DNS:tunnel.example', 'serverAuth');
  extended('numbered', 'IP:127.0.0.1', 'clientAuth,serverAuth');
  extended('misnamed', 'DNS:intranet.example,DNS:tunnel.example.evil.example', 'serverAuth');
  extended('elsewhere', 'IP:127.0.0.2', 'serverAuth');
  extended('wild', 'DNS:*.example', 'serverAuth');
  extended('unused', 'DNS:tunnel.example', '');
  extended('client', 'DNS:tunnel.example', 'clientAuth');
  writeFileSync(path('tunnel.example', 'ext'), 'extendedKeyUsage=serverAuth\n');
  issue('tunnel.example', 'root', '3650', '-extfile', path('tunnel.example', 'ext'));
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
  })
    .export({ type: 'pkcs8', format: 'pem' })
    .toString(),
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

/** A data plane over a TUN that is none; `reports` is what it said of the connection. */
async function attempt(port: number, change: Partial<ConnectOptions> = {}) {
  const [device, host] = packetPair();
  const dataplane = startDataplane(
    { name: 'fake0', fd: device, offload: 2, close: () => closeSync(device) },
    {
      own: parseIpv6('fd00::7'),
      allowIpv4: false,
      heartbeatPeriodMs: 60_000,
      heartbeatTimeoutMs: 30_000,
    },
    () => {},
  );
  onTestFinished(() => {
    dataplane.close();
    closeSync(host);
  });
  const fd = await dialDescriptor({ hosts: ['127.0.0.1'], port, timeoutMs: 20_000 });
  const reports: DataplaneEvent[] = [];
  const order = {
    fd,
    ca: read('root', 'crt'),
    ...identity,
    timeoutMs: 20_000,
    wire: 'auto' as const,
    ...change,
  };
  dataplane.connect(order, (report) => reports.push(report));
  const first = (): Promise<DataplaneEvent> =>
    vi.waitFor(() => {
      if (reports[0] === undefined) throw new Error('nothing reported');
      return reports[0];
    }, 20_000);
  return { dataplane, reports, first };
}

/** The server's side of a connection that came up. */
async function secure(name: string, options: ServerOptions = {}, change: Partial<ConnectOptions> = {}) {
  let server: TLSSocket | undefined;
  const port = await router(name, options, (socket) => {
    server = socket;
    socket.write(Uint8Array.of(0, 1, 0x60)); // any frame says that we are in
  });
  const { dataplane, reports, first } = await attempt(port, change);
  const report = await first();
  if (report.kind !== 'up') throw new Error(`not up but ${report.kind}`);
  expect(report.router).toBe(`127.0.0.1 port ${port}`);
  return { server: server!, dataplane, reports, wire: report.wire };
}

async function refused(port: number, change: Partial<ConnectOptions> = {}): Promise<Failure> {
  return (await ended(port, change)).failure;
}

async function ended(port: number, change: Partial<ConnectOptions> = {}) {
  const { reports, first } = await attempt(port, change);
  const report = await first();
  expect(reports).toHaveLength(1);
  if (report.kind !== 'down') throw new Error('the handshake went through');
  return report;
}

function failing(code: string, remedy = 'retry') {
  return expect.objectContaining({ name: 'Failure', code, remedy });
}

describe('a handshake succeeds', () => {
  test.each(['v1', 'v3'])('with a %s router certificate; ours arrives, no name is sent', async (name) => {
    const { server } = await secure(name);
    expect(server.servername).toBe(false);
    expect(server.alpnProtocol).toBe(false);
    expect(Uint8Array.from(server.getPeerCertificate().raw)).toEqual(identity.certificate);
  });

  test('in TLS 1.2 and 1.3', async () => {
    for (const version of ['TLSv1.2', 'TLSv1.3'] as const) {
      const { server } = await secure('v1', { maxVersion: version });
      expect(server.getProtocol()).toBe(version);
    }
  });

  test('with the newest wire that both know; a C peer knows none', async () => {
    const knows = async (...names: string[]) => {
      const { server, wire } = await secure('v1', { ALPNProtocols: names });
      return [server.alpnProtocol, wire];
    };
    expect(await knows('enf/1')).toEqual(['enf/1', 'enf/1']);
    expect(await knows('enf/2', 'enf/1')).toEqual(['enf/2', 'enf/2']);
    const { server, wire } = await secure('v1');
    expect([server.alpnProtocol, wire]).toEqual([false, 'enftun']);
  });

  test('and without super-frames where they are not wanted', async () => {
    const names = { ALPNProtocols: ['enf/2', 'enf/1'] };
    expect((await secure('v1', names, { wire: 'legacy' })).wire).toBe('enf/1');
    const only = await router('v1', { ALPNProtocols: ['enf/2'] });
    expect(await refused(only, { wire: 'legacy' })).toEqual(failing('tls.handshake-failed'));
  });

  test('while two roots are trusted', async () => {
    const ca = `${read('other', 'crt')}${read('root', 'crt')}`;
    for (const name of ['v1', 'foreign']) await secure(name, {}, { ca });
  });

  test('and a reset afterwards ends the connection, not the process', async () => {
    const port = await router('v1', {}, (socket) => void socket.write(Uint8Array.of(0, 1, 0x60)));
    const raw = new Promise<Socket>((resolve) => servers.at(-1)!.once('connection', resolve));
    const { reports, first } = await attempt(port);
    await first();
    (await raw).resetAndDestroy();
    await vi.waitFor(() => expect(reports).toHaveLength(2), 20_000);
    expect(reports[1]).toMatchObject({ kind: 'down', failure: { code: 'tunnel.broken' } });
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
    expect((error as Error).message).toMatch(/clock \(\d{4}-\d\d-\d\dT.*certificate has expired/);
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
    const reset = await ended(resetting);
    expect([reset.failure, reset.silent]).toEqual([failing('tls.handshake-failed'), undefined]);
    const silent = await listen(createTcpServer((socket) => void socket.on('error', () => {})));
    const unanswered = await ended(silent, { timeoutMs: 100 });
    expect([unanswered.failure, unanswered.silent]).toEqual([failing('tls.handshake-failed'), true]);
    expect(unanswered.failure.message).toContain('100 ms');
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

describe('[H-B6] a root that signs others, too', () => {
  const names = ['tunnel.example', '127.0.0.1'];
  const server = (name: string): Promise<number> => router(name);

  test('the certificate must have one of the names, and serverAuth', async () => {
    for (const name of ['named', 'numbered'])
      for (const maxVersion of ['TLSv1.2', 'TLSv1.3'] as const) await secure(name, { maxVersion }, { names });
  });

  for (const [why, name] of [
    ['another name', 'misnamed'],
    ['a common name only', 'tunnel.example'],
    ['a wildcard', 'wild'],
    ['another address', 'elsewhere'],
    ['no usages', 'unused'],
    ['clients’ usage only', 'client'],
  ]) {
    test(`${why} is refused`, async () => {
      expect(await refused(await server(name!), { names })).toEqual(failing('tls.wrong-name'));
      // Without names, as with a root of our own, it is a router; but what is for clients only never is one.
      if (name === 'client')
        expect(await refused(await server(name))).toEqual(failing('tls.untrusted-server'));
      else await secure(name!);
    });
  }

  test('another root stays untrusted, whatever the name', async () => {
    expect(await refused(await server('foreign'), { names })).toEqual(failing('tls.untrusted-server'));
  });

  test('[H-D3] what the data plane refuses at once is thrown, and the socket is closed', async () => {
    let closed = false;
    const port = await listen(
      createTcpServer((socket) => {
        socket.on('error', () => {});
        socket.on('close', () => {
          closed = true;
        });
        socket.resume();
      }),
    );
    await expect(attempt(port, { ca: 'with a \0 in it' })).rejects.toThrow('planeConnect');
    await vi.waitFor(() => expect(closed).toBe(true), 10_000);
  });
});
