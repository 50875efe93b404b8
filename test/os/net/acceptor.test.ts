import { connect, type Socket } from 'node:net';
import fc from 'fast-check';
import { afterEach, describe, expect, test } from 'vitest';
import { openDoor } from '../../../fabric/identity/acceptor.ts';
import { addon } from '../../../native/index.ts';
import type { Door, DoorOptions, Knock } from '../../../os/net/acceptor.ts';
import { openListener } from '../../../os/net/acceptor.ts';

/** Two kinds of message: `A` of 4 bytes in all, `B` of 9. */
const A = Uint8Array.of(0x41, 0, 4, 1);
const B = Uint8Array.of(0x42, 0, 9, 1, 5, 6, 7, 8, 9);
const HEADERS = Uint8Array.of(...A, ...B.subarray(0, 4));
const REFUSAL = Uint8Array.of(0xee);

const doors: Door[] = [];
const sockets: Socket[] = [];
afterEach(() => {
  for (const socket of sockets.splice(0)) socket.destroy();
  for (const door of doors.splice(0)) door.close();
});

const moment = (ms = 5): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

async function opened(portable: boolean, options: Partial<DoorOptions> = {}) {
  const knocks: Knock[] = [];
  const { door, port } = await openDoor(
    { host: '127.0.0.1', port: 0 },
    {
      headers: HEADERS,
      refusal: REFUSAL,
      total: 10,
      perSource: 10,
      helloMs: 60_000,
      claimMs: 60_000,
      lingerMs: 60_000,
      onKnock: (knock) => knocks.push(knock),
      ...options,
    },
    portable,
  );
  doors.push(door);
  const next = async (count = 1): Promise<Knock> => {
    while (knocks.length < count) await moment();
    return knocks[count - 1]!;
  };
  const until = async (open: number): Promise<void> => {
    while (door.open !== open) await moment();
  };
  const guest = (from = '127.0.0.1'): Promise<Guest> =>
    new Promise((resolve) => {
      const socket = connect({ port, host: '127.0.0.1', localAddress: from, allowHalfOpen: true });
      const heard: number[] = [];
      let over = false;
      sockets.push(socket);
      socket.on('error', () => {});
      socket.on('data', (chunk: Uint8Array) => heard.push(...chunk));
      socket.on('end', () => {
        over = true;
      });
      socket.on('close', () => {
        over = true;
      });
      const end = async (): Promise<number[]> => {
        while (!over) await moment();
        return heard;
      };
      socket.on('connect', () => resolve({ socket, heard, end }));
    });
  return { door, port, knocks, next, until, guest };
}

interface Guest {
  readonly socket: Socket;
  readonly heard: number[];
  /** What was heard, once the other side has ended. */
  end(): Promise<number[]>;
}

describe.each([
  ['the addon', false],
  ['node:net', true],
])('a door of %s', (_, portable) => {
  test('passes on whole messages, answers, and parts in order', async () => {
    const { door, next, until, guest } = await opened(portable);
    const { socket, heard, end } = await guest();
    socket.write(A);
    const hello = await next();
    expect(hello).toMatchObject({
      event: 'message',
      source: '127.0.0.1',
      note: 0,
      answered: false,
      bytes: A,
    });
    door.answer(hello.id, Uint8Array.of(1, 2), 7);
    while (heard.length < 2) await moment();
    socket.write(B);
    expect(await next(2)).toMatchObject({
      event: 'message',
      id: hello.id,
      note: 7,
      answered: true,
      bytes: B,
    });
    expect(door.open).toBe(1);
    door.part(hello.id, Uint8Array.of(3));
    expect(await end()).toEqual([1, 2, 3]);
    socket.end();
    await until(0);
    // Whoever is gone is gone: nothing happens.
    door.answer(hello.id, A, 0);
    door.part(hello.id, A);
  });

  test('puts messages together from any pieces', async () => {
    const { door, knocks, next, guest } = await opened(portable);
    for (let i = 1; i < B.length; i++) {
      const { socket } = await guest();
      socket.setNoDelay(true);
      socket.write(B.subarray(0, i));
      await moment(10);
      socket.write(B.subarray(i));
      const { bytes, id } = await next(i);
      expect(bytes).toEqual(B);
      door.part(id, A);
    }
    expect(knocks).toHaveLength(B.length - 1);
  });

  test('a header that is none ends it, whatever follows', async () => {
    const { door, next, guest } = await opened(portable);
    const { socket, end } = await guest();
    socket.write(Uint8Array.of(0x41, 0, 5, 1, 9, 9, 9, 9, 9, 9));
    const knock = await next();
    expect(knock).toMatchObject({ event: 'bad-header', bytes: Uint8Array.of(0x41, 0, 5, 1) });
    door.part(knock.id, REFUSAL);
    expect(await end()).toEqual([...REFUSAL]);
  });

  test('reads nothing between a message and the answer to it', async () => {
    const { door, knocks, next, guest } = await opened(portable);
    const { socket } = await guest();
    socket.write(Uint8Array.of(...A, ...B));
    const { id } = await next();
    await moment(50);
    expect(knocks).toHaveLength(1);
    door.answer(id, A, 1);
    expect(await next(2)).toMatchObject({ bytes: B, answered: true });
    door.part(id, A);
  });

  test('a peer that is late for its hello or its claim is said to be', async () => {
    const { door, next, guest } = await opened(portable, { helloMs: 150, claimMs: 150 });
    const half = await guest();
    half.socket.write(B.subarray(0, 6));
    const first = await next();
    expect(first).toMatchObject({ event: 'late', answered: false, bytes: new Uint8Array(0) });
    door.part(first.id, REFUSAL);
    const slow = await guest();
    slow.socket.write(A);
    door.answer((await next(2)).id, A, 2);
    const second = await next(3);
    expect(second).toMatchObject({ event: 'late', answered: true, note: 2 });
    door.part(second.id, REFUSAL);
    expect(await slow.end()).toEqual([...A, ...REFUSAL]);
  });

  test('one that says nothing at all is refused without a word to anybody', async () => {
    const { knocks, until, guest } = await opened(portable, { helloMs: 150 });
    const silent = await guest();
    expect(await silent.end()).toEqual([...REFUSAL]);
    silent.socket.end();
    await until(0);
    expect(knocks).toEqual([]);
  });

  test('a peer that does not close after the last words is closed', async () => {
    const { door, next, until, guest } = await opened(portable, { lingerMs: 150 });
    const { socket } = await guest();
    socket.write(A);
    door.part((await next()).id, A);
    await until(0);
  });

  test('a peer that goes in the middle is noticed, one that said nothing is not worth a word', async () => {
    const { door, knocks, next, until, guest } = await opened(portable);
    (await guest()).socket.end();
    await until(0);
    const { socket, end } = await guest();
    socket.end(B.subarray(0, 5));
    const knock = await next();
    expect(knock).toMatchObject({ event: 'gone', answered: false });
    door.part(knock.id, REFUSAL);
    expect(await end()).toEqual([...REFUSAL]);
    await until(0);
    expect(knocks).toHaveLength(1);
  });

  test('a peer that has shut down its side still gets its answer', async () => {
    const { door, next, until, guest } = await opened(portable);
    const { socket, end } = await guest();
    socket.end(A);
    door.part((await next()).id, B);
    expect(await end()).toEqual([...B]);
    await until(0);
  });

  test('too many of one source: the newcomer is refused; others are not', async () => {
    const { knocks, until, guest } = await opened(portable, { perSource: 2 });
    const held = [await guest(), await guest()];
    await until(2);
    expect(await (await guest()).end()).toEqual([...REFUSAL]);
    expect(knocks).toMatchObject([{ event: 'crowded', source: '127.0.0.1' }]);
    await guest('127.0.0.2');
    await until(3);
    held[0]!.socket.destroy();
    await until(2);
    await guest();
    await until(3);
  });

  test('too many of all: the one that is silent the longest makes room', async () => {
    const { door, next, until, guest } = await opened(portable, { total: 3 });
    const busy = await guest();
    busy.socket.write(A);
    const { id } = await next();
    const idle = [await guest(), await guest()];
    await until(3);
    const newcomer = await guest();
    expect(await idle[0]!.end()).toEqual([]);
    newcomer.socket.write(B);
    expect(await next(2)).toMatchObject({ event: 'message', bytes: B });
    expect(door.open).toBe(3);
    // Those that are being served or spoke are never the ones.
    await guest();
    expect(await idle[1]!.end()).toEqual([]);
    door.part(id, A);
    expect(await busy.end()).toEqual([...A]);
  });

  test('shut: who has not said hello goes, who has may end; nobody comes in any more', async () => {
    const { door, port, next, until, guest } = await opened(portable);
    const idle = await guest();
    const { socket, end } = await guest();
    socket.write(A);
    const { id } = await next();
    door.shut();
    expect(await idle.end()).toEqual([]);
    door.answer(id, A, 0);
    socket.write(B);
    door.part((await next(2)).id, B);
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

  test('closed: everybody goes, also inside the callback', async () => {
    const { door, next, guest } = await opened(portable, { onKnock: () => doors[0]!.close() });
    const idle = await guest();
    (await guest()).socket.write(A);
    await idle.end();
    expect(door.open).toBe(0);
    expect(next).toBeDefined();
    door.close();
  });

  test('whatever is sent, each connection ends in one word to the peer', async () => {
    const { door, until, guest, knocks } = await opened(portable, { total: 64, perSource: 64 });
    const noise = fc.sample(fc.uint8Array({ minLength: 4, maxLength: 40 }), 40);
    const seen = new Set<number>();
    await Promise.all(
      noise
        .map(async (bytes) => {
          const { socket, end } = await guest();
          socket.end(bytes);
          await end();
        })
        .concat(
          (async () => {
            while (seen.size < noise.length) {
              for (const { id } of knocks) if (!seen.has(id)) door.part(id, REFUSAL);
              for (const { id } of knocks) seen.add(id);
              await moment();
            }
          })(),
        ),
    );
    await until(0);
  });
});

test('the addon grows with its connections and keeps them apart', async () => {
  const { door, knocks, until, guest } = await opened(false, { total: 1_000, perSource: 1_000 });
  const guests = await Promise.all(Array.from({ length: 300 }, () => guest()));
  await until(300);
  for (const [i, { socket }] of guests.entries()) socket.write(i % 2 === 0 ? A : B);
  while (knocks.length < 300) await moment();
  expect(new Set(knocks.map(({ id }) => id)).size).toBe(300);
  for (const { id, bytes } of knocks) door.part(id, bytes);
  const heard = await Promise.all(guests.map(({ end }) => end()));
  expect(heard.map((bytes) => bytes.length)).toEqual(
    guests.map((_, i) => (i % 2 === 0 ? A.length : B.length)),
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
  ])('argument %i of doorOpen', (at, values) => {
    for (const value of values) expect(() => native.doorOpen!(...open.with(at, value))).toThrow(TypeError);
  });

  test('what is no door is no door', () => {
    for (const name of ['doorAnswer', 'doorPart', 'doorTick', 'doorShut', 'doorClose', 'doorCount'])
      for (const value of [undefined, {}, 5, Object.create({})])
        expect(() => native[name]!(value, 1, A, 0)).toThrow(TypeError);
  });

  test('ids, messages and notes', () => {
    const door = native.doorOpen!(...open);
    for (const id of [-1, Number.NaN, 2 ** 53 + 2, 'x', undefined]) {
      expect(() => native.doorAnswer!(door, id, A, 0)).toThrow(TypeError);
      expect(() => native.doorPart!(door, id, A)).toThrow(TypeError);
    }
    for (const note of [-1, 256, 0.5]) expect(() => native.doorAnswer!(door, 1, A, note)).toThrow(TypeError);
    for (const message of ['x', null, new Uint16Array(2)])
      expect(() => native.doorPart!(door, 1, message)).toThrow(TypeError);
    // An id of nobody is no mistake: the peer may just have gone.
    for (const id of [0, 1, 2 ** 21, 2 ** 52]) native.doorPart!(door, id, A);
    native.doorClose!(door);
    native.doorClose!(door);
    expect(native.doorCount!(door)).toBe(0);
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
