import { connect, type Socket } from 'node:net';
import { curves } from '../../../os/curves.ts';
import { hello } from '../../../protocol/xtt/client.ts';
import { MESSAGE_LENGTH } from '../../../protocol/xtt/message.ts';
import { addressOf } from './load.ts';

/** Connections that are open and do nothing. */
export interface Crowd {
  readonly open: number;
  leave(): Promise<void>;
}

/** Connections of one source: below what the server lets a source have. */
const PER_SOURCE = 50;
const AT_A_TIME = 200;

const { primitives } = curves();

/** Opens `count` silent connections, and opens them again when the server has had enough of them. */
export async function silentCrowd(port: number, count: number): Promise<Crowd> {
  const sockets = new Set<Socket>();
  let leaving = false;
  const open = (i: number): Promise<void> =>
    new Promise((resolve) => {
      const socket = connect({
        port,
        host: '127.0.0.1',
        localAddress: addressOf(2, Math.floor(i / PER_SOURCE)),
      });
      socket.on('error', () => resolve());
      socket.on('connect', () => {
        sockets.add(socket);
        socket.resume();
        resolve();
      });
      socket.on('close', () => {
        sockets.delete(socket);
        if (!leaving) void open(i);
      });
    });
  for (let i = 0; i < count; i += AT_A_TIME) {
    await Promise.all(Array.from({ length: Math.min(AT_A_TIME, count - i) }, (_, j) => open(i + j)));
  }
  return {
    get open() {
      return sockets.size;
    },
    async leave() {
      leaving = true;
      await goAway(sockets);
    },
  };
}

/**
 * Opens `count` connections that say hello, get their answer and then say nothing more: half-open handshakes. `first` is how
 * many such there are already: each source has only so many.
 */
export async function halfOpenCrowd(port: number, count: number, first = 0): Promise<Crowd> {
  const sockets = new Set<Socket>();
  const open = (i: number): Promise<void> =>
    new Promise((resolve, reject) => {
      const socket = connect({
        port,
        host: '127.0.0.1',
        localAddress: addressOf(3, Math.floor((first + i) / PER_SOURCE)),
      });
      sockets.add(socket);
      socket.on('error', reject);
      socket.write(
        hello(primitives, 1, { dhSecret: primitives.random(32), nonce: primitives.random(32) }).send,
      );
      let got = 0;
      socket.on('data', (chunk) => {
        got += chunk.length;
        if (got === MESSAGE_LENGTH.serverInitAndAttest) resolve();
      });
      socket.on('close', () => reject(new Error('a half-open connection was closed')));
    });
  for (let i = 0; i < count; i += AT_A_TIME) {
    await Promise.all(Array.from({ length: Math.min(AT_A_TIME, count - i) }, (_, j) => open(i + j)));
  }
  return {
    get open() {
      return sockets.size;
    },
    leave: () => goAway(sockets),
  };
}

async function goAway(sockets: Set<Socket>): Promise<void> {
  await Promise.all(
    [...sockets].map(
      (socket) =>
        new Promise<void>((resolve) => {
          socket.on('close', () => resolve());
          socket.destroy();
          if (socket.closed) resolve();
        }),
    ),
  );
}
