import { connect, type Socket } from 'node:net';
import fc from 'fast-check';
import { afterEach, describe, expect, test } from 'vitest';
import { openAcceptor } from '../../../fabric/identity/acceptor.ts';
import { addon } from '../../../native/index.ts';
import type { Acceptor, AcceptorEvent, AcceptorOptions } from '../../../os/net/acceptor.ts';
import { openListener } from '../../../os/net/acceptor.ts';

/** Two kinds of message: `A` of 4 bytes in all, `B` of 9. */
const A = Uint8Array.of(0x41, 0, 4, 1);
const B = Uint8Array.of(0x42, 0, 9, 1, 5, 6, 7, 8, 9);
const HEADERS = Uint8Array.of(...A, ...B.subarray(0, 4));
const REFUSAL = Uint8Array.of(0xee);

const acceptors: Acceptor[] = [];
const sockets: Socket[] = [];
afterEach(() => {
  for (const socket of sockets.splice(0)) socket.destroy();
  for (const acceptor of acceptors.splice(0)) acceptor.close();
});

const moment = (ms = 5): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

async function opened(portable: boolean, options: Partial<AcceptorOptions> = {}) {
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

interface Client {
  readonly socket: Socket;
  readonly received: number[];
  /** What was received, once the other side has ended. */
  end(): Promise<number[]>;
}

describe.each([
  ['the addon', false],
  ['node:net', true],
])('an acceptor of %s', (_, portable) => {
  test('reports whole messages, answers, and closes in order', async () => {
    const { acceptor, next, until, client } = await opened(portable);
    const { socket, received, end } = await client();
    socket.write(A);
    const hello = await next();
    expect(hello).toMatchObject({
      kind: 'message',
      source: '127.0.0.1',
      tag: 0,
      answered: false,
      bytes: A,
    });
    acceptor.answer(hello.id, Uint8Array.of(1, 2), 7);
    while (received.length < 2) await moment();
    socket.write(B);
    expect(await next(2)).toMatchObject({
      kind: 'message',
      id: hello.id,
      tag: 7,
      answered: true,
      bytes: B,
    });
    expect(acceptor.open).toBe(1);
    acceptor.finish(hello.id, Uint8Array.of(3));
    expect(await end()).toEqual([1, 2, 3]);
    socket.end();
    await until(0);
    // On a closed connection both do nothing.
    acceptor.answer(hello.id, A, 0);
    acceptor.finish(hello.id, A);
  });

  test('joins messages from any fragments', async () => {
    const { acceptor, events, next, client } = await opened(portable);
    for (let i = 1; i < B.length; i++) {
      const { socket } = await client();
      socket.setNoDelay(true);
      socket.write(B.subarray(0, i));
      await moment(10);
      socket.write(B.subarray(i));
      const { bytes, id } = await next(i);
      expect(bytes).toEqual(B);
      acceptor.finish(id, A);
    }
    expect(events).toHaveLength(B.length - 1);
  });

  test('an unknown header is reported, whatever follows it', async () => {
    const { acceptor, next, client } = await opened(portable);
    const { socket, end } = await client();
    socket.write(Uint8Array.of(0x41, 0, 5, 1, 9, 9, 9, 9, 9, 9));
    const event = await next();
    expect(event).toMatchObject({ kind: 'bad-header', bytes: Uint8Array.of(0x41, 0, 5, 1) });
    acceptor.finish(event.id, REFUSAL);
    expect(await end()).toEqual([...REFUSAL]);
  });

  test('reads nothing between a message and the answer to it', async () => {
    const { acceptor, events, next, client } = await opened(portable);
    const { socket } = await client();
    socket.write(Uint8Array.of(...A, ...B));
    const { id } = await next();
    await moment(50);
    expect(events).toHaveLength(1);
    acceptor.answer(id, A, 1);
    expect(await next(2)).toMatchObject({ bytes: B, answered: true });
    acceptor.finish(id, A);
  });

  test('a peer that is late with the rest of its first or second message is reported', async () => {
    const { acceptor, next, client } = await opened(portable, { helloMs: 150, claimMs: 150 });
    const half = await client();
    half.socket.write(B.subarray(0, 6));
    const first = await next();
    expect(first).toMatchObject({ kind: 'timeout', answered: false, bytes: new Uint8Array(0) });
    acceptor.finish(first.id, REFUSAL);
    const slow = await client();
    slow.socket.write(A);
    acceptor.answer((await next(2)).id, A, 2);
    const second = await next(3);
    expect(second).toMatchObject({ kind: 'timeout', answered: true, tag: 2 });
    acceptor.finish(second.id, REFUSAL);
    expect(await slow.end()).toEqual([...A, ...REFUSAL]);
  });

  test('a peer that sends nothing at all is refused without an event', async () => {
    const { events, until, client } = await opened(portable, { helloMs: 150 });
    const silent = await client();
    expect(await silent.end()).toEqual([...REFUSAL]);
    silent.socket.end();
    await until(0);
    expect(events).toEqual([]);
  });

  test('a connection whose peer does not close after the last message is closed', async () => {
    const { acceptor, next, until, client } = await opened(portable, { lingerMs: 150 });
    const { socket } = await client();
    socket.write(A);
    acceptor.finish((await next()).id, A);
    await until(0);
  });

  test('a peer that closes in the middle of a message is reported, one that has sent nothing is not', async () => {
    const { acceptor, events, next, until, client } = await opened(portable);
    (await client()).socket.end();
    await until(0);
    const { socket, end } = await client();
    socket.end(B.subarray(0, 5));
    const event = await next();
    expect(event).toMatchObject({ kind: 'closed', answered: false });
    acceptor.finish(event.id, REFUSAL);
    expect(await end()).toEqual([...REFUSAL]);
    await until(0);
    expect(events).toHaveLength(1);
  });

  test('a peer that was answered and closes without another byte has left; after a byte, or a reset, it has not', async () => {
    const { acceptor, next, until, client } = await opened(portable);
    let seen = 0;
    const answered = async (): Promise<Socket> => {
      const { socket, received } = await client();
      socket.write(A);
      acceptor.answer((await next(++seen)).id, B, 7);
      while (received.length < B.length) await moment();
      return socket;
    };
    const ends: readonly ((socket: Socket) => unknown)[] = [
      (socket) => socket.end(),
      (socket) => socket.end(B.subarray(0, 1)),
      (socket) => socket.end(B.subarray(0, 5)),
      (socket) => socket.resetAndDestroy(),
    ];
    const kinds: string[] = [];
    for (const end of ends) {
      end(await answered());
      const event = await next(++seen);
      expect(event).toMatchObject({ answered: true, tag: 7 });
      kinds.push(event.kind);
      acceptor.finish(event.id, new Uint8Array(0));
      await until(0);
    }
    expect(kinds).toEqual(['left', 'closed', 'closed', 'closed']);
  });

  test('a peer that has shut down its side still gets its answer', async () => {
    const { acceptor, next, until, client } = await opened(portable);
    const { socket, end } = await client();
    socket.end(A);
    acceptor.finish((await next()).id, B);
    expect(await end()).toEqual([...B]);
    await until(0);
  });

  test('too many from one source: a new connection is refused, those of other sources are not', async () => {
    const { events, until, client } = await opened(portable, { perSource: 2 });
    const held = [await client(), await client()];
    await until(2);
    expect(await (await client()).end()).toEqual([...REFUSAL]);
    expect(events).toMatchObject([{ kind: 'over-limit', source: '127.0.0.1' }]);
    await client('127.0.0.2');
    await until(3);
    held[0]!.socket.destroy();
    await until(2);
    await client();
    await until(3);
  });

  test('too many in all: the one that has been idle the longest is closed for the new one', async () => {
    const { acceptor, next, until, client } = await opened(portable, { total: 3 });
    const busy = await client();
    busy.socket.write(A);
    const { id } = await next();
    const idle = [await client(), await client()];
    await until(3);
    const newcomer = await client();
    expect(await idle[0]!.end()).toEqual([]);
    newcomer.socket.write(B);
    expect(await next(2)).toMatchObject({ kind: 'message', bytes: B });
    expect(acceptor.open).toBe(3);
    // A connection that is being served or has sent something is never closed for a new one.
    await client();
    expect(await idle[1]!.end()).toEqual([]);
    acceptor.finish(id, A);
    expect(await busy.end()).toEqual([...A]);
  });

  test('[H-A2] too many in all: of silent ones the crowded source pays, not one that is alone', async () => {
    const { until, client } = await opened(portable, { total: 12, perSource: 50 });
    const alone = await client('127.1.1.1');
    const crowd = [];
    for (let i = 0; i < 30; i++) crowd.push(await client('127.2.2.2'));
    await Promise.all(crowd.slice(0, 12).map(({ end }) => end()));
    await until(12);
    expect(alone.socket.readyState).toBe('open');
  });

  test('[H-A2] too many in all that were answered: the crowded source pays, and is told', async () => {
    const { acceptor, events, next, until, client } = await opened(portable, { total: 8, perSource: 50 });
    const answered = async (from: string): Promise<Client> => {
      const seen = events.length;
      const peer = await client(from);
      peer.socket.write(A);
      acceptor.answer((await next(seen + 1)).id, B, 1);
      while (peer.received.length < B.length) await moment();
      return peer;
    };
    const alone = await answered('127.1.1.1');
    const crowd = [];
    for (let i = 2; i < 9; i++) crowd.push(await answered(`127.2.2.${i % 3}`));
    await until(8);
    const newcomers = [await client('127.3.3.3'), await client('127.3.3.3')];
    expect(await crowd[0]!.end()).toEqual([...B, ...REFUSAL]);
    expect(await crowd[1]!.end()).toEqual([...B, ...REFUSAL]);
    expect(events.filter(({ kind }) => kind === 'over-limit').map(({ source }) => source)).toEqual([
      '127.2.2.2',
      '127.2.2.0',
    ]);
    expect([alone, ...newcomers].map(({ socket }) => socket.readyState)).toEqual(['open', 'open', 'open']);
    // Silent ones do not displace who has been answered, beyond a quarter of the places.
    for (let i = 0; i < 20; i++) await client('127.4.4.4');
    await until(8);
    expect(events.filter(({ kind }) => kind === 'over-limit')).toHaveLength(3);
    alone.socket.write(A);
    const { id } = await next(events.length + 1);
    acceptor.finish(id, A);
    expect(await alone.end()).toEqual([...B, ...A]);
  });

  test('[H-A2] too many from one source: one that has been silent for a second goes for a new one', async () => {
    const { until, client } = await opened(portable, { perSource: 2 });
    const first = await client();
    await moment(1_050);
    const second = await client();
    await until(2);
    const third = await client();
    expect(await first.end()).toEqual([]);
    expect([second, third].map(({ socket }) => socket.readyState)).toEqual(['open', 'open']);
    expect(await (await client()).end()).toEqual([...REFUSAL]);
  });

  test('stopAccepting closes idle connections, lets exchanges end and accepts no more', async () => {
    const { acceptor, port, next, until, client } = await opened(portable);
    const idle = await client();
    const { socket, end } = await client();
    socket.write(A);
    const { id } = await next();
    acceptor.stopAccepting();
    expect(await idle.end()).toEqual([]);
    acceptor.answer(id, A, 0);
    socket.write(B);
    acceptor.finish((await next(2)).id, B);
    expect(await end()).toEqual([...A, ...B]);
    socket.end();
    await until(0);
    const refused = connect({ port, host: '127.0.0.1' });
    sockets.push(refused);
    expect(
      await new Promise((resolve) =>
        refused.on('error', (error) => resolve((error as { code?: string }).code)),
      ),
    ).toBe('ECONNREFUSED');
  });

  test('close ends all connections, also inside the callback', async () => {
    const { acceptor, next, client } = await opened(portable, { onEvent: () => acceptors[0]!.close() });
    const idle = await client();
    (await client()).socket.write(A);
    await idle.end();
    expect(acceptor.open).toBe(0);
    expect(next).toBeDefined();
    acceptor.close();
  });

  test('whatever is sent, each connection is reported once and closed', async () => {
    const { acceptor, until, client, events } = await opened(portable, { total: 64, perSource: 64 });
    const noise = fc.sample(fc.uint8Array({ minLength: 4, maxLength: 40 }), 40);
    const seen = new Set<number>();
    await Promise.all(
      noise
        .map(async (bytes) => {
          const { socket, end } = await client();
          socket.end(bytes);
          await end();
        })
        .concat(
          (async () => {
            while (seen.size < noise.length) {
              for (const { id } of events) if (!seen.has(id)) acceptor.finish(id, REFUSAL);
              for (const { id } of events) seen.add(id);
              await moment();
            }
          })(),
        ),
    );
    await until(0);
  });
});

test('the addon’s table grows with its connections and keeps them apart', async () => {
  const { acceptor, events, until, client } = await opened(false, { total: 1_000, perSource: 1_000 });
  const clients = await Promise.all(Array.from({ length: 300 }, () => client()));
  await until(300);
  for (const [i, { socket }] of clients.entries()) socket.write(i % 2 === 0 ? A : B);
  while (events.length < 300) await moment();
  expect(new Set(events.map(({ id }) => id)).size).toBe(300);
  for (const { id, bytes } of events) acceptor.finish(id, bytes);
  const received = await Promise.all(clients.map(({ end }) => end()));
  expect(received.map((bytes) => bytes.length)).toEqual(
    clients.map((_, i) => (i % 2 === 0 ? A.length : B.length)),
  );
});

describe('bad arguments', () => {
  const native = addon() as unknown as Record<string, (...values: unknown[]) => unknown>;
  const { descriptor } = openListener('127.0.0.1', 0);
  const open: unknown[] = [descriptor, HEADERS, REFUSAL, 10, 10, 1, 1, 1, () => {}];

  test.each([
    [0, [-1, 1.5, 2 ** 31, 'x', undefined]],
    [
      1,
      [
        new Uint8Array(0),
        new Uint8Array(5),
        new Uint8Array(4),
        Uint8Array.of(1, 0xff, 0xff, 1),
        new Uint8Array(68),
        'x',
      ],
    ],
    [2, [new Uint8Array(65), 'x', undefined]],
    [3, [0, 2 ** 20 + 1, Number.NaN]],
    [4, [0, -1]],
    [5, [0, 86_400_001]],
    [6, [0, '1']],
    [7, [0, null]],
    [8, [undefined, {}, 'x']],
  ])('argument %i of acceptorOpen', (at, values) => {
    for (const value of values)
      expect(() => native.acceptorOpen!(...open.with(at, value))).toThrow(TypeError);
  });

  test('a wrong handle', () => {
    for (const name of [
      'acceptorAnswer',
      'acceptorFinish',
      'acceptorTick',
      'acceptorStopAccepting',
      'acceptorClose',
      'acceptorCount',
    ])
      for (const value of [undefined, {}, 5, Object.create({})])
        expect(() => native[name]!(value, 1, A, 0)).toThrow(TypeError);
  });

  test('ids, messages and tags', () => {
    const acceptor = native.acceptorOpen!(...open);
    for (const id of [-1, Number.NaN, 2 ** 53 + 2, 'x', undefined]) {
      expect(() => native.acceptorAnswer!(acceptor, id, A, 0)).toThrow(TypeError);
      expect(() => native.acceptorFinish!(acceptor, id, A)).toThrow(TypeError);
    }
    for (const tag of [-1, 256, 0.5])
      expect(() => native.acceptorAnswer!(acceptor, 1, A, tag)).toThrow(TypeError);
    for (const message of ['x', null, new Uint16Array(2)])
      expect(() => native.acceptorFinish!(acceptor, 1, message)).toThrow(TypeError);
    // An unknown id is no mistake: the connection may just have been closed.
    for (const id of [0, 1, 2 ** 21, 2 ** 52]) native.acceptorFinish!(acceptor, id, A);
    native.acceptorClose!(acceptor);
    native.acceptorClose!(acceptor);
    expect(native.acceptorCount!(acceptor)).toBe(0);
  });

  test('listening', () => {
    for (const host of ['localhost', '', '300.1.1.1', 5])
      expect(() => native.listenerOpen!(host, 0)).toThrow(TypeError);
    for (const port of [-1, 65_536, 'x'])
      expect(() => native.listenerOpen!('127.0.0.1', port)).toThrow(TypeError);
    expect(() => native.listenerOpen!('192.0.2.1', 0)).toThrow(
      expect.objectContaining({ code: 'EADDRNOTAVAIL' }),
    );
    const { port } = openListener('127.0.0.1', 0);
    expect(() => openListener('127.0.0.1', port)).toThrow(expect.objectContaining({ code: 'EADDRINUSE' }));
    expect(() => native.listenerPort!(2 ** 30)).toThrow(expect.objectContaining({ code: 'EBADF' }));
  });
});
