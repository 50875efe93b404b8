import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { afterEach, beforeAll, describe, expect, test } from 'vitest';
import { openIdentity, type StationIdentity } from '../../../factory/station/identity.ts';
import { type HttpsOptions, postPinned, serveHttps } from '../../../os/net/https.ts';
import { expectFailure, scratch } from '../../factory/folders.ts';

const path = scratch();
let identity: StationIdentity;
let closing: (() => Promise<void> | void)[] = [];

beforeAll(async () => {
  identity = await openIdentity(path('identity'));
});
afterEach(async () => {
  for (const close of closing.reverse()) await close();
  closing = [];
});

async function served(more: Partial<HttpsOptions> = {}): Promise<number> {
  const server = await serveHttps({
    ...{ key: identity.key, certificate: identity.certificate, address: { host: '127.0.0.1', port: 0 } },
    ...{ connections: 8, bodyBytes: 100, requestMs: 20_000, onError: () => {} },
    handle: async ({ source }) => ({ status: 200, body: JSON.stringify(source) }),
    ...more,
  });
  closing.push(server.close);
  return server.port;
}

const post = (port: number, body = '{}') =>
  postPinned({
    ...{ url: `https://127.0.0.1:${port}`, fingerprint: identity.fingerprint, path: '/', body },
    ...{ timeoutMs: 5_000, answerBytes: 100 },
  });

/** A connection from an address of this host on which nothing is said. */
async function silent(port: number, localAddress: string): Promise<Socket> {
  const socket = connect({ host: '127.0.0.1', port, localAddress });
  socket.on('error', () => {});
  closing.push(() => void socket.destroy());
  await once(socket, 'connect');
  return socket.resume();
}

describe('a small server', () => {
  test('whose connections others hold still answers an address that has none', async () => {
    const port = await served();
    // Slow, and older than all the others.
    const slow = await silent(port, '127.0.0.9');
    const held: Socket[] = [];
    for (let i = 0; i < 24; i++) held.push(await silent(port, `127.0.0.${2 + (i % 2)}`));
    const open = (): number => held.filter((socket) => !socket.closed).length;
    // No more than it was told.
    await expect.poll(open).toBe(7);
    expect(await post(port)).toEqual({ status: 200, body: '"127.0.0.1"' });
    expect(open()).toBeLessThan(7);
    expect(slow.closed).toBe(false);
  });

  test('does not give up a request that it is answering', async () => {
    let answer = (): void => {};
    const asked = new Promise<void>((settle) => {
      answer = settle;
    });
    let begun = (): void => {};
    const started = new Promise<void>((settle) => {
      begun = settle;
    });
    const port = await served({
      connections: 2,
      handle: async () => {
        begun();
        await asked;
        return { status: 200, body: '"late"' };
      },
    });
    const answered = post(port);
    await started;
    for (let i = 0; i < 6; i++) await silent(port, '127.0.0.1');
    answer();
    expect(await answered).toEqual({ status: 200, body: '"late"' });
  });

  test('says what went wrong in it, and answers the next', async () => {
    const errors: unknown[] = [];
    let first = true;
    const port = await served({
      onError: (error, source) => errors.push([(error as Error).message, source]),
      handle: async () => {
        if (!first) return { status: 200, body: '{}' };
        first = false;
        throw new TypeError('a mistake');
      },
    });
    await expectFailure(post(port), 'net.unreachable');
    expect(errors).toEqual([['a mistake', '127.0.0.1']]);
    expect((await post(port)).status).toBe(200);
    // What a peer does is no mistake.
    expect((await post(port, 'x'.repeat(200))).status).toBe(413);
    expect(errors).toHaveLength(1);
  });
});
