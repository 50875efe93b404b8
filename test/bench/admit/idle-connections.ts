import { connect, type Socket } from 'node:net';
import { curves } from '../../../crypto/curves.ts';
import { hello } from '../../../protocol/xtt/client.ts';
import { MESSAGE_LENGTH } from '../../../protocol/xtt/message.ts';
import type { Callers, Connection } from './callers.ts';
import { addressOf } from './load.ts';

/** Connections that are open and do nothing. */
export interface IdleConnections {
  readonly open: number;
  leave(): Promise<void>;
}

/** Connections of one source: below what the server lets a source have. */
const PER_SOURCE = 50;
const AT_A_TIME = 200;
const SILENCE = new Uint8Array(0);
/** Silent connections are opened over the time that the server tolerates each: from then on some are closed and opened at any time. */
const ARRIVAL_MS = 10_000;
const STEPS = 500;
/** Until the server has seen that the connections are closed. */
const LEAVING_MS = 500;
const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

const { primitives } = curves();

/** Opens `count` silent connections, and opens them again when the server has had enough of them. */
export async function openSilent(callers: Callers, count: number): Promise<IdleConnections> {
  const lines = new Set<Connection>();
  let leaving = false;
  function open(i: number): void {
    const line = callers.call(addressOf(2, Math.floor(i / PER_SOURCE)), SILENCE);
    lines.add(line);
    void line.over.then(() => {
      lines.delete(line);
      if (!leaving) open(i);
    });
  }
  const start = performance.now();
  for (let step = 0, i = 0; step < STEPS; step++) {
    for (; i < (count * (step + 1)) / STEPS; i++) open(i);
    await pause(Math.max(0, start + (ARRIVAL_MS * (step + 1)) / STEPS - performance.now()));
  }
  return {
    get open() {
      return lines.size;
    },
    async leave() {
      leaving = true;
      for (const line of lines) line.close();
      await pause(LEAVING_MS);
    },
  };
}

/**
 * Opens `count` connections that send ClientInit, get the answer and then send nothing more: half-open handshakes. `first` is how
 * many such there are already: each source has only so many.
 */
export async function openHalfOpen(port: number, count: number, first = 0): Promise<IdleConnections> {
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
    leave: () => closeAll(sockets),
  };
}

async function closeAll(sockets: Set<Socket>): Promise<void> {
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
