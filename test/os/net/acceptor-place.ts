import { connect, type Socket } from 'node:net';
import { afterEach } from 'vitest';
import { openAcceptor } from '../../../fabric/identity/acceptor.ts';
import type { Acceptor, AcceptorEvent, AcceptorOptions } from '../../../os/net/acceptor.ts';

/** Two kinds of message: `A` of 4 bytes in all, `B` of 9. */
export const A = Uint8Array.of(0x41, 0, 4, 1);
export const B = Uint8Array.of(0x42, 0, 9, 1, 5, 6, 7, 8, 9);
export const HEADERS = Uint8Array.of(...A, ...B.subarray(0, 4));
export const REFUSAL = Uint8Array.of(0xee);

export const acceptors: Acceptor[] = [];
export const sockets: Socket[] = [];
afterEach(() => {
  for (const socket of sockets.splice(0)) socket.destroy();
  for (const acceptor of acceptors.splice(0)) acceptor.close();
});

export const moment = (ms = 5): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

export async function opened(portable: boolean, options: Partial<AcceptorOptions> = {}) {
  const events: AcceptorEvent[] = [];
  const { acceptor, port } = await openAcceptor(
    { host: '127.0.0.1', port: 0 },
    {
      headers: HEADERS,
      refusal: REFUSAL,
      total: 10,
      perSource: 10,
      helloMs: 60_000,
      claimMs: 60_000,
      lingerMs: 60_000,
      onEvent: (event) => events.push(event),
      ...options,
    },
    portable,
  );
  acceptors.push(acceptor);
  const next = async (count = 1): Promise<AcceptorEvent> => {
    while (events.length < count) await moment();
    return events[count - 1]!;
  };
  const until = async (open: number): Promise<void> => {
    while (acceptor.open !== open) await moment();
  };
  const client = (from = '127.0.0.1'): Promise<Client> =>
    new Promise((resolve) => {
      const socket = connect({ port, host: '127.0.0.1', localAddress: from, allowHalfOpen: true });
      const received: number[] = [];
      let over = false;
      sockets.push(socket);
      socket.on('error', () => {});
      socket.on('data', (chunk: Uint8Array) => received.push(...chunk));
      socket.on('end', () => {
        over = true;
      });
      socket.on('close', () => {
        over = true;
      });
      const end = async (): Promise<number[]> => {
        while (!over) await moment();
        return received;
      };
      socket.on('connect', () => resolve({ socket, received, end }));
    });
  return { acceptor, port, events, next, until, client };
}

export interface Client {
  readonly socket: Socket;
  readonly received: number[];
  /** What was received, once the other side has ended. */
  end(): Promise<number[]>;
}

/** Both kinds are tried alike. */
export const KINDS = [
  ['the addon', false],
  ['node:net', true],
] as const;
