import { spawn } from 'node:child_process';
import { closeSync } from 'node:fs';
import { type AddressInfo, createServer, type Server, Socket } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { addon } from '../../../native/index.ts';
import type { SocketHandle } from '../../../native/net/net.ts';
import { descriptors, outcome, runChild } from '../child.ts';
import { assign, newLink, raise } from '../client/link.ts';

let server: Server;
let port: number;
const accepted: Socket[] = [];

beforeAll(async () => {
  server = createServer((socket) => {
    accepted.push(socket);
    socket.on('error', () => {}).pipe(socket);
  });
  await new Promise<void>((resolve) => server.listen(0, '::', resolve));
  port = (server.address() as AddressInfo).port;
});
afterEach(() => {
  for (const socket of accepted.splice(0)) socket.destroy();
});
afterAll(() => {
  server.close();
});

async function eventually<T>(look: () => T | undefined): Promise<T> {
  for (;;) {
    const found = look();
    if (found !== undefined) return found;
    await pause(5);
  }
}

function connect(socket: SocketHandle, address: string, to = port): Promise<Error | undefined> {
  return new Promise((resolve) => addon().socketConnect(socket, address, to, resolve));
}

test.each([
  [4, '127.0.0.1'],
  [6, '::1'],
] as const)('connects over IPv%i to %s and becomes a socket of Node', async (family, address) => {
  const handle = addon().socketOpen(family, 0, 0);
  expect(await connect(handle, address)).toBeUndefined();
  const socket = new Socket({ fd: addon().socketTake(handle), readable: true, writable: true });
  expect(socket.remotePort).toBe(port);
  const echo = new Promise((resolve) => socket.once('data', resolve));
  socket.write('through');
  expect(String(await echo)).toBe('through');
  addon().socketClose(handle);
  expect(socket.destroyed).toBe(false);
  socket.destroy();
});

test('asks and hears the answer up to the blank line, however it comes; what follows is left for whoever reads next', async () => {
  const handle = addon().socketOpen(4, 0, 0);
  await connect(handle, '127.0.0.1');
  const peer = await eventually(() => accepted[0]);
  peer.unpipe();
  const answer = new Promise<Uint8Array | undefined>((resolve, reject) =>
    addon().socketAsk(handle, Buffer.from('who?'), (error, bytes) =>
      error ? reject(error) : resolve(bytes),
    ),
  );
  expect(() => addon().socketAsk(handle, Buffer.from('and?'), () => {})).toThrow(
    expect.objectContaining({ code: 'EALREADY' }),
  );
  for (const part of ['me\r', '\n', '\r', '\nand more\r\n\r\n']) {
    peer.write(part);
    await pause(20);
  }
  expect(Buffer.from((await answer)!).toString()).toBe('me\r\n\r\n');
  const socket = new Socket({ fd: addon().socketTake(handle), readable: true, writable: true });
  expect(String(await new Promise((resolve) => socket.once('data', resolve)))).toBe('and more\r\n\r\n');
  socket.destroy();
});

test.each([
  ['EPIPE', (peer: Socket) => peer.end('half an answer')],
  ['ECONNRESET', (peer: Socket) => peer.resetAndDestroy()],
  ['EMSGSIZE', (peer: Socket) => peer.write('x'.repeat(8_192))],
])('an answer that does not end is %s', async (code, act) => {
  const handle = addon().socketOpen(4, 0, 0);
  await connect(handle, '127.0.0.1');
  const peer = await eventually(() => accepted[0]);
  peer.unpipe();
  const failed = new Promise<Error | undefined>((resolve) =>
    addon().socketAsk(handle, Buffer.from('who?'), resolve),
  );
  await pause(20);
  act(peer);
  expect(await failed).toMatchObject({ code });
  addon().socketClose(handle);
});

test('nobody is asked over a socket that is not connected, or closed; a question that is dropped has no answer', async () => {
  const handle = addon().socketOpen(4, 0, 0);
  const ask = (): void => addon().socketAsk(handle, Buffer.from('who?'), () => expect.unreachable());
  expect(ask).toThrow(expect.objectContaining({ code: 'ENOTCONN' }));
  await connect(handle, '127.0.0.1');
  ask();
  addon().socketClose(handle);
  expect(ask).toThrow(expect.objectContaining({ code: 'ENOTCONN' }));
  (await eventually(() => accepted[0])).write('\r\n\r\n');
  await pause(50);
});

test('connects to a link-local address of a zone', async () => {
  const link = newLink();
  const tun = addon().dataplaneTun(link.name, 0);
  await raise(link);
  await assign(link.name, 'fe80::99');
  const handle = addon().socketOpen(6, 0, 0);
  expect(await connect(handle, `fe80::99%${link.name}`)).toBeUndefined();
  addon().socketClose(handle);
  closeSync(tun.fd);
});

test('a refused connection is reported once with its reason', async () => {
  const closed = createServer();
  await new Promise<void>((resolve) => closed.listen(0, '127.0.0.1', resolve));
  const { port: free } = closed.address() as AddressInfo;
  await new Promise((resolve) => closed.close(resolve));
  const handle = addon().socketOpen(4, 0, 0);
  expect(await connect(handle, '127.0.0.1', free)).toMatchObject({ code: 'ECONNREFUSED' });
  expect(() => addon().socketTake(handle)).toThrow(expect.objectContaining({ code: 'ENOTCONN' }));
  expect(() => addon().socketConnect(handle, '127.0.0.1', port, () => {})).toThrow(
    expect.objectContaining({ code: 'EALREADY' }),
  );
  addon().socketClose(handle);
});

test('what the kernel knows at once is thrown at once', () => {
  const never = () => expect.unreachable();
  const open = (family: 4 | 6) => addon().socketOpen(family, 0, 0);
  expect(() => addon().socketConnect(open(6), 'fe80::1%nosuch', port, never)).toThrow(
    expect.objectContaining({ code: 'ENODEV' }),
  );
  expect(() => addon().socketConnect(open(4), '255.255.255.255', port, never)).toThrow(
    expect.objectContaining({ code: expect.stringMatching(/^E(ACCES|NETUNREACH)$/) }),
  );
  const closed = open(4);
  addon().socketClose(closed);
  expect(() => addon().socketConnect(closed, '127.0.0.1', port, never)).toThrow(
    expect.objectContaining({ code: 'EBADF' }),
  );
});

test('has its options, its mark and its largest segment', async () => {
  const handle = addon().socketOpen(4, 363, 600);
  await connect(handle, '127.0.0.1');
  const fd = addon().socketTake(handle);
  const options = {
    SO_KEEPALIVE: [1, 9],
    SO_MARK: [1, 36],
    TCP_NODELAY: [6, 1],
    TCP_KEEPIDLE: [6, 4],
    TCP_KEEPINTVL: [6, 5],
    TCP_KEEPCNT: [6, 6],
    TCP_USER_TIMEOUT: [6, 18],
    TCP_MAXSEG: [6, 2],
  };
  const read = Object.values(options).map(([level, name]) => `unpack("i", getsockopt(S, ${level}, ${name}))`);
  const perl = spawn('perl', ['-e', `open(S, "+<&=3") or die; print join(" ", ${read.join(', ')})`], {
    stdio: ['ignore', 'pipe', 'inherit', fd],
  });
  const values = (await outcome(perl)).stdout.split(' ').map(Number);
  expect(Object.fromEntries(Object.keys(options).map((name, i) => [name, values[i]]))).toEqual({
    SO_KEEPALIVE: 1,
    SO_MARK: 363,
    TCP_NODELAY: 1,
    TCP_KEEPIDLE: 300,
    TCP_KEEPINTVL: 10,
    TCP_KEEPCNT: 6,
    TCP_USER_TIMEOUT: 60_000,
    TCP_MAXSEG: 600 - 12, // but for the options in each segment
  });
  new Socket({ fd, readable: true, writable: true }).destroy();
});

test('a mark needs a privilege', () => {
  process.seteuid!(65_534);
  try {
    expect(() => addon().socketOpen(4, 363, 0)).toThrow(expect.objectContaining({ code: 'EPERM' }));
    addon().socketClose(addon().socketOpen(4, 0, 0));
  } finally {
    process.seteuid!(0);
  }
});

test('closed while connecting, it never calls back, and no descriptor is left', async () => {
  const link = newLink();
  const tun = addon().dataplaneTun(link.name, 0);
  await raise(link);
  let called = 0;
  const cycle = () => {
    const handle = addon().socketOpen(6, 0, 0);
    addon().socketConnect(handle, link.peer, 9, () => called++);
    addon().socketClose(handle);
  };
  cycle();
  await pause(10);
  const before = descriptors();
  for (let i = 0; i < 1000; i++) {
    cycle();
    if (i % 100 === 0) await pause(0);
  }
  await pause(10);
  expect(descriptors() - before).toBeLessThan(10);
  expect(called).toBe(0);
  closeSync(tun.fd);
});

describe('a process', () => {
  const dead = `
    addon.dataplaneTun(argv[0], 0);
    const ip = (...args) => require('child_process').execFileSync('env', ['-u', 'LD_PRELOAD', 'ip', ...args]);
    ip('link', 'set', 'dev', argv[0], 'up');
    ip('-6', 'addr', 'add', argv[1] + '/64', 'dev', argv[0], 'nodad');
    while (ip('-6', 'route', 'show', 'table', 'local', argv[1]).length === 0);
    const socket = addon.socketOpen(6, 0, 0);
    setTimeout(() => process.exit(7), 300).unref();`;
  const child = (source: string) => {
    const { name, host, peer } = newLink();
    return runChild(`${dead} ${source}`, name, host, peer);
  };

  test('waits for a connection attempt', async () => {
    expect((await child('addon.socketConnect(socket, argv[2], 9, () => {});')).code).toBe(7);
  });

  test('does not wait for one that was closed', async () => {
    const source = 'addon.socketConnect(socket, argv[2], 9, () => {}); addon.socketClose(socket);';
    expect((await child(source)).code).toBe(0);
  });

  test('gets an exception of the callback as an uncaught one', async () => {
    const outcome = await runChild(
      `addon.socketConnect(addon.socketOpen(4, 0, 0), '127.0.0.1', Number(argv[0]), () => { throw new Error('from the callback'); });`,
      String(port),
    );
    expect(outcome).toMatchObject({ code: 1, signal: null });
    expect(outcome.stderr).toContain('from the callback');
  });
});
