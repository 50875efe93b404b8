import { connect as connectTcp, type Socket } from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type Router, startRouter } from '../../../fabric/router/router.ts';
import { heartbeat } from '../../../protocol/tunnel/icmp6.ts';
import {
  activeDevice,
  admitted,
  connect,
  type Device,
  type FakeAdmission,
  fakeAdmission,
  HALF_HELLO,
  makeDevice,
  OURS,
  type Peer,
  testRouter,
  until,
} from './fixture.ts';

let admission: FakeAdmission;
let device: Device;
const routers: Router[] = [];

beforeEach(async () => {
  admission = fakeAdmission();
  device = await activeDevice(admission, 'fd00:1::a');
});

afterEach(async () => {
  await Promise.all(routers.splice(0).map((router) => router.close()));
});

async function start(limits: Parameters<typeof testRouter>[1] = {}): Promise<Router> {
  const router = await testRouter(admission, limits);
  routers.push(router);
  return router;
}

/** A TCP connection that sends `bytes` and then nothing. */
async function plain(router: Router, bytes: Uint8Array): Promise<{ socket: Socket; closed: Promise<void> }> {
  const socket = connectTcp({ host: '127.0.0.1', port: router.port });
  socket.on('error', () => {});
  const closed = new Promise<void>((resolve) => socket.once('close', () => resolve()));
  socket.resume();
  await new Promise<void>((resolve) => socket.once('connect', () => resolve()));
  socket.write(bytes);
  return { socket, closed };
}

async function answers(peer: Peer): Promise<void> {
  const before = peer.received.length;
  peer.send(heartbeat(device.address));
  await until(() => peer.received.length > before);
}

describe('a hostile peer', () => {
  it('is disconnected when it sends garbage, plain text or TLS alerts; others are not disturbed', async () => {
    const router = await start();
    const peer = await admitted(router, device);
    const said = ['GET / HTTP/1.1\r\n\r\n', '\x15\x03\x03\x00\x02\x02\x28', '\x00'.repeat(4000)];
    for (const text of said) {
      await (await plain(router, Buffer.from(text, 'latin1'))).closed;
    }
    await until(() => router.pendingHandshakes === 0);
    await answers(peer);
  });

  it('is disconnected by a timeout if it never finishes its handshake', async () => {
    const router = await start({ limits: { handshakeMs: 300 } });
    const peer = await admitted(router, device);
    const loris = await Promise.all([HALF_HELLO, new Uint8Array(0)].map((bytes) => plain(router, bytes)));
    await until(() => router.pendingHandshakes === 2);
    await answers(peer);
    await Promise.all(loris.map(({ closed }) => closed));
    await until(() => router.pendingHandshakes === 0);
    await answers(peer);
  });

  it('has only so many pending handshakes, and more when they have ended', async () => {
    const router = await start({ limits: { pendingPerSource: 3 } });
    const loris = await Promise.all([1, 2, 3].map(() => plain(router, HALF_HELLO)));
    await until(() => router.pendingHandshakes === 3);
    await (await plain(router, HALF_HELLO)).closed;
    expect(router.pendingHandshakes).toBe(3);
    for (const { socket } of loris) socket.destroy();
    await until(() => router.pendingHandshakes === 0);
    await answers(await admitted(router, device));
  });

  it('cannot make the router renegotiate TLS', async () => {
    const router = await start();
    const other = await activeDevice(admission, 'fd00:1::b');
    const bystander = await admitted(router, device);
    const peer = await admitted(router, other, { version: 'TLSv1.2' });
    let renegotiated = false;
    peer.tls.renegotiate({}, () => {
      renegotiated = true;
    });
    for (let i = 0; i < 50; i++) await answers(bystander);
    expect(renegotiated).toBe(false);
    peer.raw.destroy();
  });

  it('may reset its connection at any moment', async () => {
    const router = await start();
    for (const bytes of [new Uint8Array(0), HALF_HELLO]) {
      const { socket, closed } = await plain(router, bytes);
      socket.resetAndDestroy();
      await closed;
    }
    const peer = await admitted(router, device);
    peer.raw.resetAndDestroy();
    await until(() => router.sessions().length === 0 && router.pendingHandshakes === 0);
    await answers(await admitted(router, device));
  });
});

describe('refusals', () => {
  it('are limited per source: then the connection is closed before TLS', async () => {
    const router = await start({ limits: { refusalBurst: 3, refusalsPerSecond: 0 } });
    const stranger = await makeDevice('fd00:2::bad');
    for (let i = 0; i < 3; i++) {
      expect((await (await connect(router, stranger, OURS)).ending).verdict).toEqual({ kind: 'unknown' });
    }
    const shut = await connect(router, stranger, OURS);
    expect((await shut.ending).verdict).toBeUndefined();
    expect(shut.tls.getProtocol()).toBeNull();
    // Another source is not affected: ::1 is not 127.0.0.1.
    await answers(await admitted(router, device, { host: '::1' }));
  });

  it('count failed handshakes, too, but not admitted devices', async () => {
    const router = await start({ limits: { refusalBurst: 2, refusalsPerSecond: 0 } });
    for (let i = 0; i < 5; i++) (await admitted(router, device)).close();
    for (let i = 0; i < 2; i++) await (await plain(router, Buffer.from('hello, hello'))).closed;
    await until(() => router.pendingHandshakes === 0);
    const shut = await connect(router, device);
    await shut.ending;
    expect(shut.tls.getProtocol()).toBeNull();
  });

  it('end as soon as the peer closes, whatever it sent in between', async () => {
    // Otherwise the connection would linger until this test's timeout, and close() with it.
    const router = await start({ limits: { lingerMs: 3_600_000 } });
    admission.set(device, 'banned');
    const peer = await connect(router, device);
    for (let i = 0; i < 100; i++) peer.send(heartbeat(device.address));
    expect(await peer.ending).toEqual({ how: 'orderly' });
    routers.length = 0;
    await router.close();
  });

  it('do not hang on a peer that will not close', async () => {
    const router = await start({ limits: { lingerMs: 50 } });
    admission.set(device, 'banned');
    const peer = await connect(router, device);
    peer.tls.pause();
    const closed = router.close();
    routers.length = 0;
    await closed;
    peer.raw.destroy();
  });
});

describe('what is left over', () => {
  it('is nothing after 200 connections, however they ended', async () => {
    const router = await start({ limits: { refusalBurst: 1000 } });
    const stranger = await makeDevice('fd00:2::bad');
    const sockets = () => process.getActiveResourcesInfo().filter((name) => /TCP|TLS/.test(name)).length;
    const before = sockets();
    for (let i = 0; i < 200; i += 4) {
      const orderly = await admitted(router, device, i % 8 === 0 ? OURS : {});
      const newer = await admitted(router, device);
      await orderly.ending;
      newer.raw.destroy();
      await (await connect(router, stranger, OURS)).ending;
      const half = await plain(router, HALF_HELLO);
      half.socket.destroy();
      await half.closed;
    }
    await until(() => router.sessions().length === 0 && router.pendingHandshakes === 0);
    await until(() => sockets() <= before);
    const events = admission.history.map((event) => event[0]);
    expect(events.filter((event) => event === '+')).toHaveLength(100);
    expect(events.filter((event) => event === '-')).toHaveLength(100);
  });

  it('is nothing after close(): sessions end in order, the port is free, no listener for changes is left', async () => {
    const router = await start();
    const peers = [await admitted(router, device, OURS)];
    const half = await plain(router, HALF_HELLO);
    await until(() => router.pendingHandshakes === 1);
    await router.close();
    routers.length = 0;
    expect(await peers[0]!.ending).toEqual({ how: 'orderly' });
    await half.closed;
    expect(router.sessions()).toEqual([]);
    expect(admission.listeners()).toBe(0);
    await expect(plainRefused(router.port)).resolves.toBe('ECONNREFUSED');
  });
});

function plainRefused(port: number): Promise<string> {
  return new Promise((resolve) => {
    const socket = connectTcp({ host: '127.0.0.1', port });
    socket.on('connect', () => resolve('connected'));
    socket.on('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? ''));
  });
}

describe('starting', () => {
  const log = () => {};

  it('fails with a code if the port is taken or the address is not this host’s', async () => {
    const router = await start();
    const { certificate, key } = device;
    const busy = { host: '::', port: router.port };
    await expect(startRouter({ listen: busy, certificate, key, admission, log })).rejects.toMatchObject({
      code: 'net.port-busy',
      remedy: 'operator',
    });
    const elsewhere = { host: '192.0.2.1', port: 0 };
    await expect(startRouter({ listen: elsewhere, certificate, key, admission, log })).rejects.toMatchObject({
      code: 'net.no-such-address',
    });
  });

  it('fails with a code if certificate and key are invalid or do not match', async () => {
    const listen = { host: '127.0.0.1', port: 0 };
    const other = await makeDevice('fd00::1');
    for (const [certificate, key] of [
      ['no PEM', device.key],
      [device.certificate, other.key],
    ] as const) {
      await expect(startRouter({ listen, certificate, key, admission, log })).rejects.toMatchObject({
        code: 'router.bad-certificate',
      });
    }
  });
});
