import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { type AddressInfo, connect, createServer as createTcp, type Socket } from 'node:net';
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import { requestTrusted, type TrustedRequest } from '../../../os/net/https-client.ts';
import { isFailure } from '../../../protocol/failure.ts';
import { type EstServer, startEstServer } from '../../agent/est-server.ts';

let server: EstServer;
beforeAll(async () => {
  server = await startEstServer();
});
afterAll(() => server.close());

const request = (more: Partial<TrustedRequest> = {}) =>
  requestTrusted({
    ...{ hosts: ['127.0.0.1'], port: server.port, timeoutMs: 3_000 },
    ...{ ca: readFileSync(server.tlsRoot, 'utf8'), names: ['127.0.0.1'] },
    ...{ method: 'GET', path: '/.well-known/est/cacerts', answerBytes: 65_536 },
    ...more,
  });

const codeOf = async (work: Promise<unknown>): Promise<string> => {
  const error = await work.then(
    () => new Error('it was answered'),
    (caught: unknown) => caught,
  );
  if (!isFailure(error)) throw error;
  return error.code;
};

async function listening(accept: (socket: Socket) => void): Promise<number> {
  const tcp = createTcp((socket) => {
    socket.on('error', () => {});
    accept(socket);
  });
  await new Promise<void>((resolve) => tcp.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => void tcp.close());
  return (tcp.address() as AddressInfo).port;
}

test('a server of the root answers, by one of its names or by any', async () => {
  for (const names of [['127.0.0.1'], ['other.example', 'localhost'], []])
    expect(await request({ names })).toMatchObject({ status: 200, type: expect.stringContaining('pkcs7') });
});

test('another root, name or time, and whoever speaks no TLS, are told apart', async () => {
  const before = server.requests.length;
  expect(await codeOf(request({ ca: server.ca }))).toBe('tls.untrusted-server');
  expect(await codeOf(request({ names: ['other.example'] }))).toBe('tls.wrong-name');
  const http = await listening((socket) => void socket.end('HTTP/1.1 200 OK\r\n\r\n'));
  expect(await codeOf(request({ port: http }))).toBe('tls.handshake-failed');
  const gone = await listening((socket) => void socket.destroy());
  expect(await codeOf(request({ port: gone }))).toBe('tls.handshake-failed');
  const client = { certificate: server.ca, key: 'no key' };
  expect(await codeOf(request({ client }))).toBe('tls.handshake-failed');
  expect(server.requests.length).toBe(before);
});

test('an answer that is too long, too late or broken off is none, and so is one that nobody waits for', async () => {
  expect(await codeOf(request({ answerBytes: 10 }))).toBe('net.bad-answer');
  const mute = await listening(() => {});
  expect(await codeOf(request({ port: mute, timeoutMs: 200 }))).toBe('net.timeout');
  server.usual.answer = () => undefined;
  onTestFinished(() => void delete server.usual.answer);
  expect(await codeOf(request({ timeoutMs: 200 }))).toBe('net.timeout');
  const stop = new AbortController();
  const asked = request({ signal: stop.signal });
  stop.abort();
  expect(await codeOf(asked)).toBe('net.aborted');
  // Cut in the middle of TLS.
  const cut = await listening((socket) => {
    const far = connect(server.port, '127.0.0.1');
    far.on('error', () => {});
    socket.pipe(far);
    far.pipe(socket);
    setTimeout(() => socket.destroy(), 300);
  });
  expect(await codeOf(request({ port: cut }))).toBe('net.bad-answer');
});

test('a proxy is asked to connect, and sees nothing of what is said', async () => {
  let seen = '';
  const proxy = createServer();
  proxy.on('connect', (incoming, socket: Socket) => {
    seen += incoming.url;
    const far = connect(server.port, '127.0.0.1');
    socket.write('HTTP/1.1 200 OK\r\n\r\n');
    socket.on('data', (chunk) => {
      seen += chunk.toString('latin1');
    });
    socket.pipe(far).pipe(socket);
    for (const each of [far, socket]) each.on('error', () => {});
  });
  await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => void proxy.close());
  const { port } = proxy.address() as AddressInfo;
  const headers = { authorization: 'Basic c2VjcmV0' };
  const through = { host: '127.0.0.1', port, login: async () => undefined };
  expect(await request({ proxy: through, headers })).toMatchObject({ status: 200 });
  expect(seen).toContain(`127.0.0.1:${server.port}`);
  expect(seen).not.toContain('c2VjcmV0');
});
