import { connect as connectTcp, type Socket } from 'node:net';
import { Duplex } from 'node:stream';
import { connect as connectTls } from 'node:tls';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Router } from '../../../../fabric/router/router.ts';
import {
  activeDevice,
  admitted,
  connect,
  type Device,
  type FakeAdmission,
  fakeAdmission,
  HALF_HELLO,
  testRouter,
  until,
} from '../fixture.ts';

const NOTHING = new Uint8Array(0);

let admission: FakeAdmission;
let device: Device;
let router: Router;
const strangers: Stranger[] = [];

interface Stranger {
  readonly socket: Socket;
  open: boolean;
}

beforeEach(async () => {
  admission = fakeAdmission();
  device = await activeDevice(admission, 'fd00:1::a');
});

afterEach(async () => {
  for (const { socket } of strangers.splice(0)) socket.destroy();
  await router.close();
});

/** Connects from an address, sends something and then nothing. */
function come(from: string, bytes: Uint8Array): Promise<Stranger> {
  const socket = connectTcp({ host: '127.0.0.1', port: router.port, localAddress: from });
  const stranger: Stranger = { socket, open: true };
  strangers.push(stranger);
  socket.on('error', () => {});
  socket.resume();
  socket.once('close', () => {
    stranger.open = false;
  });
  if (bytes.length > 0) socket.write(bytes);
  return new Promise((resolve) => socket.once('connect', () => resolve(stranger)));
}

/** Comes again whenever it is closed, until the test ends: what closes late does not come to the next test's router. */
async function redial(from: string, bytes: Uint8Array): Promise<void> {
  const own = router;
  const { socket } = await come(from, bytes);
  socket.once('close', () => {
    if (strangers.length > 0 && router === own) void redial(from, bytes);
  });
}

/** Connects the device, as an agent does: again if the connection is closed. How often it took. */
async function attempts(): Promise<number> {
  for (let attempt = 1; ; attempt++) {
    const peer = await connect(router, device);
    let over = false;
    void peer.ending.then(() => {
      over = true;
    });
    await until(() => over || router.sessions().length === 1);
    if (router.sessions().length === 0) continue;
    peer.close();
    await until(() => router.sessions().length === 0);
    return attempt;
  }
}

/** The ClientHello of a device. */
async function clientHello(): Promise<Uint8Array> {
  const sent: Uint8Array[] = [];
  const pipe = new Duplex({
    read() {},
    write(chunk: Uint8Array, _, done) {
      sent.push(chunk);
      done();
    },
  });
  connectTls({ socket: pipe }).on('error', () => {});
  await until(() => sent.length > 0);
  pipe.destroy();
  return sent[0]!;
}

/** A device that has sent its ClientHello and reads the answer when it is told to. */
async function beginHandshake(): Promise<{ finish(): Promise<void> }> {
  const raw = connectTcp({ host: '127.0.0.1', port: router.port, localAddress: '127.9.9.9' });
  const held: Uint8Array[] = [];
  const pipe = new Duplex({
    read() {},
    write: (chunk: Uint8Array, _, done) => void raw.write(chunk, () => done()),
  });
  let hold = (chunk: Uint8Array): void => void held.push(chunk);
  raw.on('data', (chunk) => hold(chunk));
  raw.on('close', () => pipe.destroy());
  const tls = connectTls({
    socket: pipe,
    cert: device.certificate,
    key: device.key,
    rejectUnauthorized: false,
  });
  tls.on('error', () => {});
  await until(() => held.length > 0);
  return {
    async finish() {
      hold = (chunk) => void pipe.push(chunk);
      for (const chunk of held) hold(chunk);
      await until(() => router.sessions().length === 1);
      raw.destroy();
    },
  };
}

describe('[H-A2] when all places for handshakes are taken', () => {
  it('the oldest silent one goes, and a device gets in', async () => {
    router = await testRouter(admission, { limits: { pending: 3 } });
    const silent: Stranger[] = [];
    for (let i = 2; i < 5; i++) {
      silent.push(await come(`127.0.0.${i}`, NOTHING));
      // Each of the router's threads accepts: who connected first is not always who is accepted first.
      await until(() => router.pendingHandshakes === silent.length);
    }
    const newcomer = await come('127.0.0.9', NOTHING);
    await until(() => !silent[0]!.open);
    expect([silent[1]!.open, silent[2]!.open, newcomer.open]).toEqual([true, true, true]);
    expect(router.pendingHandshakes).toBe(3);
    await admitted(router, device);
  });

  it('the crowded source pays, not one that has as little but for itself', async () => {
    router = await testRouter(admission, { limits: { pending: 12 } });
    const alone = await come('127.1.1.1', NOTHING);
    await until(() => router.pendingHandshakes === 1);
    for (let i = 0; i < 40; i++) await come('127.2.2.2', HALF_HELLO);
    await until(() => strangers.filter(({ open }) => open).length === 12);
    expect(alone.open).toBe(true);
  });

  it('so does a crowded /24, however many addresses it has', async () => {
    router = await testRouter(admission, { limits: { pending: 12 } });
    const pair = [await come('127.1.1.1', NOTHING), await come('127.1.1.1', NOTHING)];
    await until(() => router.pendingHandshakes === 2);
    for (let i = 1; i <= 40; i++) await come(`127.2.2.${i}`, NOTHING);
    await until(() => strangers.filter(({ open }) => open).length === 12);
    expect(pair.map(({ open }) => open)).toEqual([true, true]);
  });

  for (const [what, bytes] of [
    ['nothing', NOTHING],
    ['one byte', HALF_HELLO.subarray(0, 1)],
    ['half a ClientHello', HALF_HELLO],
    ['a whole ClientHello', undefined],
  ] as const) {
    it(`devices get in among strangers that send ${what} and come again and again`, async () => {
      router = await testRouter(admission, { limits: { pending: 48, refusalBurst: 100_000 } });
      const sent = bytes ?? (await clientHello());
      await Promise.all(Array.from({ length: 100 }, (_, i) => redial(`127.3.${i % 5}.${i + 1}`, sent)));
      let tried = 0;
      for (let i = 0; i < 20; i++) {
        tried += await attempts();
        expect(router.pendingHandshakes).toBeLessThanOrEqual(48);
      }
      // On a machine with nothing else to do it is one each.
      expect(tried).toBeLessThanOrEqual(40);
    });
  }

  it('a byte now and then is no progress', async () => {
    router = await testRouter(admission, { limits: { pending: 2 } });
    const slow = await come('127.0.0.2', HALF_HELLO);
    await until(() => router.pendingHandshakes === 1);
    const silent = await come('127.0.0.3', NOTHING);
    await until(() => router.pendingHandshakes === 2);
    slow.socket.write(Uint8Array.of(1));
    await come('127.0.0.4', NOTHING);
    await until(() => !slow.open);
    expect(silent.open).toBe(true);
  });

  it('a device in its handshake is not displaced by those that have sent nothing', async () => {
    router = await testRouter(admission, { limits: { pending: 8 } });
    const handshake = await beginHandshake();
    for (let i = 0; i < 40; i++) await come(`127.4.${i}.1`, NOTHING);
    await until(() => strangers.filter(({ open }) => open).length === 7);
    await handshake.finish();
  });
});

describe('[H-A2] a connection that sends no ClientHello', () => {
  it('is closed long before a handshake that has begun', async () => {
    router = await testRouter(admission, { limits: { handshakeMs: 600_000 } });
    const handshake = await beginHandshake();
    const silent = [await come('127.0.0.2', NOTHING), await come('127.0.0.2', HALF_HELLO)];
    await until(() => silent.every(({ open }) => !open));
    await handshake.finish();
  });

  it('is no refusal: what it does shuts nobody behind the same address out', async () => {
    router = await testRouter(admission, { limits: { refusalBurst: 1, refusalsPerSecond: 0 } });
    for (let i = 0; i < 5; i++) (await come('127.0.0.1', HALF_HELLO.subarray(0, i))).socket.destroy();
    await until(() => router.pendingHandshakes === 0);
    await admitted(router, device);
  });
});
