import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { text } from 'node:stream/consumers';
import { connect as connectTls } from 'node:tls';
import { afterEach, beforeAll, describe, expect, test } from 'vitest';
import { openIdentity, type StationIdentity } from '../../../factory/station/identity.ts';
import { certificateFingerprint, type HttpsOptions, postPinned, serveHttps } from '../../../os/net/https.ts';
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
    what: 'the station',
    ...{ key: identity.key, certificate: identity.certificate, address: { host: '127.0.0.1', port: 0 } },
    ...{ connections: 8, bodyBytes: 100, requestMs: 20_000, onError: () => {} },
    handle: async ({ source, body }) =>
      (await body()) === undefined
        ? { status: 413, body: '{}' }
        : { status: 200, body: JSON.stringify(source) },
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
      handle: async ({ body }) => {
        await body();
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
      handle: async ({ body }) => {
        if (!first) return { status: (await body()) === undefined ? 413 : 200, body: '{}' };
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

  test('gives up those of the widest crowd, however many sources that has', async () => {
    // 127.0.1.0/24 has one connection from each address; another network has two from one.
    const crowdsOf = (address: string): string[] => [address.replace(/\.\d+$/, ''), address];
    const port = await served({ crowdsOf });
    const few = [await silent(port, '127.0.2.1'), await silent(port, '127.0.2.1')];
    const many: Socket[] = [];
    for (let i = 1; i < 20; i++) many.push(await silent(port, `127.0.1.${i}`));
    await expect.poll(() => many.filter((socket) => !socket.closed).length).toBe(6);
    expect(few.map((socket) => socket.closed)).toEqual([false, false]);
  });

  test('closes a connection that may not come before it answers, and no other', async () => {
    let most = 2;
    const port = await served({ admits: () => most-- > 0 });
    const held = [
      await silent(port, '127.0.0.1'),
      await silent(port, '127.0.0.1'),
      await silent(port, '127.0.0.1'),
    ];
    await expect.poll(() => held.map((socket) => socket.closed)).toEqual([false, false, true]);
  });

  test('knows the certificate of a client that shows one, and shows another one itself when it is told', async () => {
    const shown: (Uint8Array | undefined)[] = [];
    const next = await openIdentity(path('next'));
    const server = await serveHttps({
      ...{ what: 'the test', key: identity.key, certificate: identity.certificate, clientCertificates: true },
      ...{ address: { host: '127.0.0.1', port: 0 }, connections: 8, bodyBytes: 100, requestMs: 20_000 },
      onError: () => {},
      async handle({ certificate }) {
        shown.push(certificate);
        return { status: 204, body: '', headers: { 'x-own': 'yes' } };
      },
    });
    closing.push(server.close);
    const ask = async (tls: object): Promise<string> => {
      const socket = connectTls({ host: '127.0.0.1', port: server.port, rejectUnauthorized: false, ...tls });
      await once(socket, 'secureConnect');
      const { raw } = socket.getPeerCertificate();
      socket.write('GET / HTTP/1.1\r\nhost: x\r\n\r\n');
      expect((await text(socket)).toLowerCase()).toContain('x-own: yes');
      return certificateFingerprint(raw);
    };
    expect(await ask({ key: next.key, cert: next.certificate })).toBe(identity.fingerprint);
    server.replaceTls(next);
    expect(await ask({})).toBe(next.fingerprint);
    expect(shown.map((each) => each && certificateFingerprint(each))).toEqual([next.fingerprint, undefined]);
  });
});
