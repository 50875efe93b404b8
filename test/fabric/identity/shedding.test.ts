import { describe, expect, test } from 'vitest';
import { curves, PORTABLE_CURVES } from '../../../crypto/curves.ts';
import { primitives } from '../../../crypto/primitives.ts';
import { readMessage } from '../../../os/net/message-stream.ts';
import type { SuiteSpec } from '../../../protocol/crypto/suite.ts';
import { hello } from '../../../protocol/xtt/client.ts';
import { ERROR_MESSAGE } from '../../../protocol/xtt/message.ts';
import { dialed, provision } from '../device.ts';
import { idle, openTestServer } from './fixture.ts';

const refused = { code: 'xtt.error-received' };

test('every suite works without the addon, too', async () => {
  const own = await openTestServer({ curves: PORTABLE_CURVES });
  const { server, root, batch, registry } = own;
  expect(server.native).toBe(false);
  for (const suite of [1, 2, 3, 4] as SuiteSpec[])
    await provision({ port: server.port, root, gid: batch.gid, chip: await batch.chip(), suite });
  expect((await registry.handshakes({ limit: 9 })).rows.map(({ suite, result }) => [suite, result])).toEqual(
    [4, 3, 2, 1].map((suite) => [suite, 'ok']),
  );
  await own.close();
  expect(curves().native).toBe(true);
});

/** Sends a ClientInit on a connection of its own; the length of the answer. */
async function sendClientInit(port: number): Promise<number> {
  const socket = await dialed(port);
  const { send } = hello(primitives, 1, { dhSecret: primitives.random(32), nonce: primitives.random(32) });
  socket.write(send);
  const answer = await readMessage(socket, 20_000);
  socket.destroy();
  return answer.length;
}

describe('an overloaded server', () => {
  /** A server whose registry admits when told to, so that handshakes queue up. */
  async function busyServer(options: Parameters<typeof openTestServer>[0] = {}) {
    const own = await openTestServer(options);
    const admit = own.registry.admit;
    const held: (() => void)[] = [];
    own.registry.admit = async (applicant) => {
      await new Promise<void>((resolve) => held.push(resolve));
      return admit(applicant);
    };
    const attempt = async () => ({
      port: own.server.port,
      root: own.root,
      gid: own.batch.gid,
      chip: await own.batch.chip(),
    });
    const queuedUp = async (count: number): Promise<void> => {
      while (held.length < count) await new Promise((resolve) => setTimeout(resolve, 5));
    };
    const release = (): void => {
      for (const resolve of held.splice(0)) resolve();
    };
    return { ...own, attempt, queuedUp, release };
  }

  test('sends no address before the registry has committed it', async () => {
    const { attempt, queuedUp, release, registry, server, close } = await busyServer();
    let told = false;
    const first = provision(await attempt()).then(() => {
      told = true;
    });
    await queuedUp(1);
    // The server has all it needs for the answer, and a second handshake gets as far.
    await sendClientInit(server.port);
    expect([told, (await registry.handshakes({ limit: 9 })).rows]).toEqual([false, []]);
    release();
    await first;
    expect(
      (await registry.handshakes({ limit: 9 })).rows.filter(({ result }) => result === 'ok'),
    ).toHaveLength(1);
    await close();
  });

  test('answers new ClientInits with an Error, and admits those in the queue', async () => {
    const { attempt, queuedUp, release, registry, log, server, close } = await busyServer({
      queue: { running: 1, waiting: { normal: 4, suspect: 1 } },
    });
    const first = provision(await attempt());
    await queuedUp(1);
    // Waits in the queue: a quarter of it, from which on new handshakes are refused.
    const second = provision(await attempt());
    while ((await sendClientInit(server.port)) !== ERROR_MESSAGE.length);
    release();
    await first;
    await queuedUp(1);
    release();
    await second;
    const third = provision(await attempt());
    await queuedUp(1);
    release();
    await third;
    expect(log.join('\n')).toContain('overloaded, refused a handshake from 127.0.0.1');
    // A handshake refused for overload is not recorded; those that ended after the ClientInit are.
    await idle(server);
    const results = (await registry.handshakes({ limit: 99 })).rows.map(({ result }) => result);
    expect(results.filter((result) => result !== 'net.abandoned')).toEqual(['ok', 'ok', 'ok']);
    await close();
  });

  test('serves a source that forged while there is little to do, and refuses its ClientInit when there is not', async () => {
    const { attempt, queuedUp, release, registry, server, close } = await busyServer({ queue: { idle: 1 } });
    const forged = { ...(await attempt()), host: '127.0.0.1' };
    for (let i = 0; i < 3; i++)
      await expect(
        provision({
          ...forged,
          alter: (claim) => ({ ...claim, daaSignature: claim.daaSignature.with(63, 0) }),
        }),
      ).rejects.toMatchObject(refused);
    await idle(server);
    const honest = provision(await attempt());
    await queuedUp(1);
    // The same source, as far as the server can tell.
    await expect(provision(await attempt())).rejects.toMatchObject(refused);
    release();
    await honest;
    const later = provision(await attempt());
    await queuedUp(1);
    release();
    await later;
    await idle(server);
    expect((await registry.handshakes({ limit: 9 })).rows.map(({ result }) => result)).toEqual([
      'ok',
      'ok',
      ...Array(3).fill('xtt.bad-group-signature'),
    ]);
    await close();
  });

  test('closing lets running handshakes end and drops those that wait', async () => {
    const { attempt, queuedUp, release, server, close } = await busyServer({ queue: { running: 1 } });
    const first = provision(await attempt());
    await queuedUp(1);
    const second = provision(await attempt());
    while (server.open < 2) await new Promise((resolve) => setTimeout(resolve, 5));
    const outcome = Promise.allSettled([first, second]);
    await new Promise((resolve) => setTimeout(resolve, 100));
    const closed = server.close(50);
    await new Promise((resolve) => setTimeout(resolve, 100));
    release();
    await closed;
    expect((await outcome)[1]).toMatchObject({ status: 'rejected' });
    await close();
  });
});
