import { describe, expect, test } from 'vitest';
import { A, B, type Client, KINDS, moment, opened, REFUSAL } from './acceptor-place.ts';

describe.each(KINDS)('an acceptor of %s', (_, portable) => {
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
