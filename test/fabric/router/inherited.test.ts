import { type ChildProcess, spawn } from 'node:child_process';
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { connect as connectTcp, type Socket } from 'node:net';
import { afterEach, beforeEach, expect, it } from 'vitest';
import type { Router } from '../../../fabric/router/router.ts';
import { heartbeat } from '../../../protocol/tunnel/icmp6.ts';
import {
  activeDevice,
  admitted,
  type Device,
  fakeAdmission,
  HALF_HELLO,
  testRouter,
  until,
} from './fixture.ts';

let device: Device;
let router: Router;
let socket: Socket;
let child: ChildProcess | undefined;

beforeEach(async () => {
  const admission = fakeAdmission();
  device = await activeDevice(admission, 'fd00:1::a');
  router = await testRouter(admission, { threads: 1, limits: { handshakeMs: 300 } });
  socket = connectTcp({ host: '127.0.0.1', port: router.port });
  socket.on('error', () => {});
});

afterEach(async () => {
  socket.destroy();
  child?.kill('SIGKILL');
  await router.close();
});

/** The router's descriptor of the connection; undefined while it has not accepted it, and once it has closed it. */
function descriptor(): number | undefined {
  const hex = (port: number): string => port.toString(16).toUpperCase().padStart(4, '0');
  const inodes = readFileSync('/proc/net/tcp6', 'latin1')
    .split('\n')
    .map((line) => line.trim().split(/\s+/))
    .filter(
      ([, local, remote]) =>
        local?.endsWith(`:${hex(router.port)}`) && remote?.endsWith(`:${hex(socket.localPort!)}`),
    )
    .map((fields) => `socket:[${fields[9]}]`);
  return readdirSync('/proc/self/fd')
    .map(Number)
    .find((fd) => inodes.includes(target(fd)));
}

async function open(): Promise<number> {
  for (;;) {
    const fd = descriptor();
    if (fd !== undefined) return fd;
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}

function target(fd: number): string {
  try {
    return readlinkSync(`/proc/self/fd/${fd}`);
  } catch {
    return '';
  }
}

it('a connection that ends while a child process holds its socket has ended for its thread, too', async () => {
  await new Promise<void>((resolve) => socket.once('connect', () => resolve()));
  socket.write(HALF_HELLO);
  const held = await open();
  child = spawn('sleep', ['1000'], { stdio: ['ignore', 'ignore', 'ignore', held] });
  await until(() => descriptor() === undefined);
  socket.write(HALF_HELLO);
  const peer = await admitted(router, device);
  peer.send(heartbeat(device.address));
  await until(() => peer.received.length === 1);
  expect(router.sessions()).toHaveLength(1);
});
