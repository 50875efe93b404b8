import { connect, type Socket } from 'node:net';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { A, acceptors, B, KINDS, moment, opened, REFUSAL, sockets } from './acceptor-place.ts';

describe.each(KINDS)('an acceptor of %s', (_, portable) => {
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
