import { describe, expect, test } from 'vitest';
import { curves, PORTABLE_CURVES } from '../../../crypto/curves.ts';
import { primitives } from '../../../crypto/primitives.ts';
import { readMessage } from '../../../os/net/message-stream.ts';
import type { SuiteSpec } from '../../../protocol/crypto/suite.ts';
import { hello } from '../../../protocol/xtt/client.ts';
import { ERROR_MESSAGE } from '../../../protocol/xtt/message.ts';
import { dialed, provision } from '../device.ts';
import { idle, openDesk } from './fixture.ts';

const refused = { code: 'xtt.error-received' };

test('without the addon every suite works as with it', async () => {
  const own = await openDesk({ curves: PORTABLE_CURVES });
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

/** Says hello on a connection of its own; how long the answer is. */
async function sayHello(port: number): Promise<number> {
  const socket = await dialed(port);
  const { send } = hello(primitives, 1, { dhSecret: primitives.random(32), nonce: primitives.random(32) });
  socket.write(send);
  const answer = await readMessage(socket, 20_000);
  socket.destroy();
  return answer.length;
}

describe('when there is too much to do', () => {
  /** A registry that admits when told to, so that handshakes pile up. */
  async function busyDesk(options: Parameters<typeof openDesk>[0] = {}) {
    const own = await openDesk(options);
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
    const pileUp = async (count: number): Promise<void> => {
      while (held.length < count) await new Promise((resolve) => setTimeout(resolve, 5));
    };
    const letGo = (): void => {
      for (const resolve of held.splice(0)) resolve();
    };
    return { ...own, attempt, pileUp, letGo };
  }

  test('nobody is told an address before the registry has it', async () => {
    const { attempt, pileUp, letGo, registry, server, close } = await busyDesk();
    let told = false;
    const first = provision(await attempt()).then(() => {
      told = true;
    });
    await pileUp(1);
    // The server had all it needs for an answer, and a second handshake gets just as far.
    await sayHello(server.port);
    expect([told, (await registry.handshakes({ limit: 9 })).rows]).toEqual([false, []]);
    letGo();
    await first;
    expect(
      (await registry.handshakes({ limit: 9 })).rows.filter(({ result }) => result === 'ok'),
    ).toHaveLength(1);
    await close();
  });

  test('newcomers get an Error at their hello; who was let in is admitted', async () => {
    const { attempt, pileUp, letGo, registry, log, server, close } = await busyDesk({
      lanes: { running: 1, waiting: { everybody: 4, suspects: 1 } },
    });
    const first = provision(await attempt());
    await pileUp(1);
    // Waits in the lane: a quarter of it, which is as full as newcomers may find it.
    const second = provision(await attempt());
    while ((await sayHello(server.port)) !== ERROR_MESSAGE.length);
    letGo();
    await first;
    await pileUp(1);
    letGo();
    await second;
    const third = provision(await attempt());
    await pileUp(1);
    letGo();
    await third;
    expect(log.join('\n')).toContain('too much to do, sent away 127.0.0.1');
    // Nobody who was sent away made a handshake; those who only said hello broke theirs off.
    await idle(server);
    const results = (await registry.handshakes({ limit: 99 })).rows.map(({ result }) => result);
    expect(results.filter((result) => result !== 'net.closed')).toEqual(['ok', 'ok', 'ok']);
    await close();
  });

  test('a source that forged is served while there is little to do, and sent away at its hello when there is not', async () => {
    const { attempt, pileUp, letGo, registry, server, close } = await busyDesk({ lanes: { idle: 1 } });
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
    await pileUp(1);
    // The same source, as far as the server can tell.
    await expect(provision(await attempt())).rejects.toMatchObject(refused);
    letGo();
    await honest;
    const later = provision(await attempt());
    await pileUp(1);
    letGo();
    await later;
    await idle(server);
    expect((await registry.handshakes({ limit: 9 })).rows.map(({ result }) => result)).toEqual([
      'ok',
      'ok',
      ...Array(3).fill('xtt.bad-group-signature'),
    ]);
    await close();
  });

  test('closing ends what runs and drops what waits', async () => {
    const { attempt, pileUp, letGo, server, close } = await busyDesk({ lanes: { running: 1 } });
    const first = provision(await attempt());
    await pileUp(1);
    const second = provision(await attempt());
    while (server.open < 2) await new Promise((resolve) => setTimeout(resolve, 5));
    const outcome = Promise.allSettled([first, second]);
    await new Promise((resolve) => setTimeout(resolve, 100));
    const closed = server.close(50);
    await new Promise((resolve) => setTimeout(resolve, 100));
    letGo();
    await closed;
    expect((await outcome)[1]).toMatchObject({ status: 'rejected' });
    await close();
  });
});
