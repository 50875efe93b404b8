import { createServer, type IncomingMessage, type Server } from 'node:http';
import { type AddressInfo, connect, createServer as createTcpServer, type Socket } from 'node:net';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { type DialOptions, dial } from '../../../os/net/dial.ts';
import type { HttpProxy } from '../../../os/net/proxy.ts';
import { isFailure } from '../../../protocol/failure.ts';
import { descriptors } from '../../native/child.ts';

const LOGIN = 'device:p%ss wörd:7';
const AUTHORISATION = `Basic ${Buffer.from(LOGIN, 'utf8').toString('base64')}`;

let echo: Server | ReturnType<typeof createTcpServer>;
let echoPort: number;
let proxy: Server;
const asked: { target: string; authorisation: string | undefined }[] = [];
const sockets = new Set<Socket>();

const portOf = (server: { address(): unknown }): number => (server.address() as AddressInfo).port;
const listening = (server: {
  listen(port: number, host: string, then: () => void): unknown;
}): Promise<void> => new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));

/** What the proxy says to a request; '' is nothing, undefined that it connects. */
function refusalOf(target: string, authorisation: string | undefined): string | undefined {
  switch (target.split(/[.\]]/)[0]) {
    case 'locked':
      return authorisation === AUTHORISATION ? undefined : '407 Proxy Authentication Required';
    case 'gone':
      return '502 Bad Gateway';
    case 'busy':
      return '429 Too Many Requests';
    case 'silent':
      return '';
    case 'fabric':
    case '[2001:db8::1':
      return undefined;
    default:
      return '403 Forbidden';
  }
}

/** A proxy as they are in the field; behind it there is nothing but the echo. */
function onConnect(request: IncomingMessage, client: Socket): void {
  sockets.add(client.on('error', () => {}));
  const target = request.url!;
  const authorisation = request.headers['proxy-authorization'];
  asked.push({ target, authorisation });
  const refusal = refusalOf(target, authorisation);
  if (refusal !== undefined) {
    if (refusal !== '') client.end(`HTTP/1.1 ${refusal}\r\nContent-Length: 0\r\n\r\n`);
    return;
  }
  const far = connect(echoPort, '127.0.0.1', () => {
    client.write('HTTP/1.0 200 Connection established\r\nVia: test\r\n\r\n');
    far.pipe(client).pipe(far);
  });
  sockets.add(far.on('error', () => {}));
}

beforeAll(async () => {
  // It speaks first, so that a byte too many read from the proxy would be missing.
  echo = createTcpServer((socket) => {
    sockets.add(socket.on('error', () => {}));
    socket.write('hello ');
    socket.pipe(socket);
  });
  proxy = createServer().on('connect', onConnect);
  await Promise.all([listening(echo), listening(proxy)]);
  echoPort = portOf(echo);
});
afterAll(() => {
  for (const socket of sockets) socket.destroy();
  echo.close();
  proxy.close();
});

const through = (more: Partial<HttpProxy> = {}): HttpProxy => ({
  host: '127.0.0.1',
  port: portOf(proxy),
  login: async () => undefined,
  ...more,
});
const reach = (hosts: readonly string[], options: Partial<DialOptions> = {}): Promise<Socket> =>
  dial({ hosts, port: 443, timeoutMs: 10_000, proxy: through(), ...options });

/** The failure's code, remedy and words; it must not tell the password. */
async function refusal(hosts: readonly string[], options: Partial<DialOptions> = {}) {
  const open = descriptors();
  try {
    (await reach(hosts, options)).destroy();
  } catch (error) {
    if (!isFailure(error)) throw error;
    expect(JSON.stringify([error, error.message, String(error.cause)])).not.toMatch(/p%ss|ZGV2aWNl/);
    expect(descriptors()).toBeLessThanOrEqual(open + 1); // the proxy's own end may still be open
    return error;
  }
  throw new Error('connected');
}

/** A proxy that says these words to whoever connects. */
async function saying(words: string | undefined): Promise<HttpProxy> {
  const server = createTcpServer((socket) => {
    sockets.add(socket.on('error', () => {}));
    if (words === undefined) socket.destroy();
    else socket.once('data', () => socket.write(words));
  });
  await listening(server);
  onTestFinished(() => void server.close());
  return through({ port: portOf(server) });
}

describe('[C-9] through an HTTP proxy', () => {
  test.each([
    [['fabric.test'], 'fabric.test:443'],
    [['2001:db8::1'], '[2001:db8::1]:443'],
    [['gone.test', 'fabric.test'], 'fabric.test:443'],
    [['elsewhere.test', 'fabric.test'], 'fabric.test:443'],
  ])('%j is reached, names are the proxy’s to resolve, and nothing is lost', async (hosts, last) => {
    const socket = await reach(hosts, { lookup: () => Promise.reject(new Error('no resolver here')) });
    socket.write('world');
    let got = '';
    for await (const chunk of socket) {
      got += String(chunk);
      if (got.length >= 11) break;
    }
    expect(got).toBe('hello world');
    expect(asked.at(-1)).toEqual({ target: last, authorisation: undefined });
  });

  test('a proxy given by name is resolved by our resolver, and receives user name and password', async () => {
    const socket = await reach(['locked.test'], {
      proxy: through({ host: 'proxy.test', login: async () => LOGIN }),
      lookup: async (host) => (host === 'proxy.test' ? ['127.0.0.1'] : []),
    });
    socket.destroy();
    expect(asked.at(-1)).toEqual({ target: 'locked.test:443', authorisation: AUTHORISATION });
  });

  test.each([
    ['without credentials', undefined, 'requires a user name and a password'],
    ['with others', 'device:p%ss', 'rejects our user name and password'],
  ])('407 %s is for a person, and no other host is tried', async (_, login, words) => {
    const before = asked.length;
    const failure = await refusal(['locked.test', 'fabric.test'], {
      proxy: through({ login: async () => login }),
    });
    expect(failure).toMatchObject({ code: 'net.proxy-login', remedy: 'operator' });
    expect(failure.message).toContain(words);
    expect(asked.length).toBe(before + 1);
  });

  test.each([
    ['elsewhere.test', 'net.proxy-refused', 'operator', '403 Forbidden'],
    ['gone.test', 'net.proxy-failed', 'retry', '502 Bad Gateway'],
    ['busy.test', 'net.proxy-failed', 'retry', '429'],
  ])('%s: %s', async (host, code, remedy, words) => {
    const failure = await refusal([host]);
    expect(failure).toMatchObject({ code, remedy });
    expect(failure.message).toContain(words);
    expect(failure.message).toContain(`${host}:443`);
    expect(failure.action).toBeDefined();
  });

  test.each([
    ['SSH-2.0-OpenSSH\r\n\r\n', 'does not answer in HTTP'],
    [`HTTP/1.1 200 OK\r\nX: ${'x'.repeat(9_000)}`, 'too long'],
    [undefined, 'closed the connection'],
  ])('a server that is not a proxy is recognised: %.20s', async (words, message) => {
    const failure = await refusal(['fabric.test'], { proxy: await saying(words) });
    expect(failure).toMatchObject({ code: 'net.proxy-failed', remedy: 'retry' });
    expect(failure.message).toContain(message);
  });

  test('a proxy that refuses the connection, or does not answer', async () => {
    const closed = createTcpServer();
    await listening(closed);
    const port = portOf(closed);
    await new Promise((resolve) => closed.close(resolve));
    expect(await refusal(['fabric.test'], { proxy: through({ port }) })).toMatchObject({
      code: 'net.proxy-unreachable',
      remedy: 'retry',
    });
    const silent = await refusal(['silent.test'], { timeoutMs: 300 });
    expect(silent).toMatchObject({ code: 'net.proxy-failed', remedy: 'retry' });
    expect(silent.message).toContain('did not answer');
  });

  test('can be aborted at any time', async () => {
    const off = new AbortController();
    const pending = refusal(['silent.test', 'fabric.test'], { signal: off.signal });
    const before = asked.length;
    while (asked.length === before) await new Promise((resolve) => setImmediate(resolve));
    off.abort();
    expect(await pending).toMatchObject({ code: 'net.aborted' });
    expect(asked.at(-1)?.target).toBe('silent.test:443');
  });
});
