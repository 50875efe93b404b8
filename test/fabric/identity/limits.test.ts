import type { Socket } from 'node:net';
import { afterEach, describe, expect, test } from 'vitest';
import { primitives } from '../../../crypto/primitives.ts';
import { connectionCounter } from '../../../fabric/identity/limits.ts';
import { readMessage } from '../../../os/net/message-stream.ts';
import { toHex } from '../../../protocol/bytes.ts';
import { hello } from '../../../protocol/xtt/client.ts';
import { dialed, provision } from '../device.ts';
import { idle, openTestServer, type TestServer } from './fixture.ts';

let close: (() => Promise<void>) | undefined;
afterEach(async () => {
  await close?.();
  close = undefined;
});

async function started(options: Parameters<typeof openTestServer>[0]): Promise<TestServer> {
  const own = await openTestServer(options);
  close = own.close;
  return own;
}

const received = (socket: Socket): Promise<string> =>
  new Promise((resolve) => {
    let text = '';
    socket.on('data', (chunk: Uint8Array) => {
      text += toHex(chunk);
    });
    socket.on('end', () => socket.end());
    socket.on('close', () => resolve(text));
  });

describe('deadlines', () => {
  test('a client that sends its ClientInit byte by byte is refused, others are served meanwhile', async () => {
    const { server, root, batch, registry } = await started({
      deadlines: { helloMs: 1_000, claimMs: 60_000 },
    });
    const slow = await dialed(server.port);
    const answer = received(slow);
    const { send } = hello(primitives, 1, { dhSecret: primitives.random(32), nonce: primitives.random(32) });
    let sent = 0;
    const dribble = setInterval(() => {
      if (slow.writable && sent < 60) slow.write(send.subarray(sent, ++sent));
    }, 20);
    const honest = await provision({ port: server.port, root, gid: batch.gid, chip: await batch.chip() });
    expect(honest.identity).toHaveLength(16);
    expect(await answer).toBe('41000401');
    clearInterval(dribble);
    await idle(server);
    expect((await registry.handshakes({ limit: 9 })).rows.map((each) => each.result).sort()).toEqual([
      'net.timeout',
      'ok',
    ]);
  });

  test('so is one that never sends its ClientAttest, and one that sends nothing at all', async () => {
    const { server, registry } = await started({ deadlines: { helloMs: 300, claimMs: 300 } });
    const silent = received(await dialed(server.port));
    const half = await dialed(server.port);
    const { send } = hello(primitives, 1, { dhSecret: primitives.random(32), nonce: primitives.random(32) });
    half.write(send);
    expect((await readMessage(half, 10_000)).length).toBe(417);
    expect(await received(half)).toBe('41000401');
    expect(await silent).toBe('41000401');
    await idle(server);
    // The one that sent nothing is no handshake.
    expect((await registry.handshakes({ limit: 9 })).rows.map((each) => [each.suite, each.result])).toEqual([
      [1, 'net.timeout'],
    ]);
  });

  test('a peer that does not close after our last message is closed', async () => {
    const { server, last } = await started({ deadlines: { helloMs: 300, claimMs: 300 } });
    const stubborn = await dialed(server.port);
    stubborn.write(Uint8Array.of(0x55, 0, 0, 0));
    stubborn.resume();
    await idle(server);
    expect(server.open).toBe(0);
    stubborn.destroy();
    expect(await last()).toMatchObject({ result: 'xtt.bad-header' });
  });
});

describe('limits', () => {
  test('per source: a connection too many is refused, and accepted when others have closed', async () => {
    const { server, root, batch } = await started({ limits: { total: 10, perSource: 2 } });
    const attempt = { port: server.port, root, gid: batch.gid, chip: await batch.chip() };
    const held = [await dialed(server.port), await dialed(server.port)];
    while (server.open < 2) await new Promise((resolve) => setTimeout(resolve, 5));
    await expect(provision(attempt)).rejects.toMatchObject({ code: 'xtt.error-received' });
    held[0]!.destroy();
    while (server.open > 1) await new Promise((resolve) => setTimeout(resolve, 5));
    await provision(attempt);
    held[1]!.destroy();
  });

  test('total and per source are counted apart, and leaving twice counts once', () => {
    const counter = connectionCounter({ total: 3, perSource: 2 });
    const first = counter.enter('192.0.2.1')!;
    expect(counter.enter('192.0.2.1')).toBeDefined();
    expect(counter.enter('192.0.2.1')).toBeUndefined();
    expect(counter.enter('192.0.2.2')).toBeDefined();
    expect(counter.enter('192.0.2.3')).toBeUndefined();
    expect(counter.open).toBe(3);
    first();
    first();
    expect(counter.open).toBe(2);
    expect(counter.enter('192.0.2.1')).toBeDefined();
    expect(counter.enter('192.0.2.1')).toBeUndefined();
  });
});
