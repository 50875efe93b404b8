import { connect, createServer } from 'node:net';
import { expect, onTestFinished, test } from 'vitest';
import { primitives } from '../../../crypto/primitives.ts';
import { startPausable } from '../../../fabric/identity/pausable.ts';
import { concat } from '../../../protocol/bytes.ts';
import { attest, hello } from '../../../protocol/xtt/client.ts';
import { MESSAGE_LENGTH } from '../../../protocol/xtt/message.ts';
import type { ServerKey } from '../../../protocol/xtt/stateless.ts';
import { refusal } from '../../refusals.ts';
import { opened, registryFile } from '../place.ts';
import { makeServerKey } from './fixture.ts';

/** Whether somebody accepts at the port. */
const accepts = (port: number): Promise<boolean> =>
  new Promise((resolve) => {
    const socket = connect({ host: '127.0.0.1', port });
    socket.on('error', () => resolve(false));
    socket.on('connect', () => {
      socket.destroy();
      resolve(true);
    });
  });

/** What a device says of the server there that trusts the root of this key. */
async function trusted(port: number, { root }: ServerKey): Promise<string> {
  const secrets = { dhSecret: primitives.random(32), nonce: primitives.random(32) };
  const { send, next } = hello(primitives, 1, secrets);
  const socket = connect({ host: '127.0.0.1', port });
  onTestFinished(() => void socket.destroy());
  socket.write(send);
  let answer: Uint8Array = new Uint8Array();
  for await (const chunk of socket) {
    answer = concat(answer, chunk as Uint8Array);
    if (answer.length >= MESSAGE_LENGTH.serverInitAndAttest) break;
  }
  return refusal(() => attest(next, answer, [root]));
}

async function started() {
  const server = await startPausable(
    {
      listen: { host: '127.0.0.1', port: 0 },
      keys: [await makeServerKey()],
      registry: opened(registryFile()),
      ...{ log: () => {}, processes: 1, maxConnections: 10 },
    },
    1_000,
  );
  onTestFinished(server.close);
  return server;
}

test('an identity server leaves its port, and comes back to it', async () => {
  const server = await started();
  const { port } = server;
  expect([server.accepts, await accepts(port)]).toEqual([true, true]);
  await server.pause();
  await server.pause();
  expect([server.accepts, await accepts(port)]).toEqual([false, false]);
  server.replaceKeys([await makeServerKey()]);
  await server.resume();
  expect([server.accepts, await accepts(port), server.port]).toEqual([true, true, port]);
  // In the order in which it was asked; once it is closed it stays so.
  await Promise.all([server.pause(), server.resume(), server.pause(), server.close(), server.resume()]);
  expect([server.accepts, await accepts(port)]).toEqual([false, false]);
});

test('it comes back with the keys that it was given meanwhile, also while it was coming', async () => {
  const server = await started();
  const keys = [await makeServerKey(), await makeServerKey()] as const;
  await server.pause();
  server.replaceKeys([keys[0]]);
  await server.resume();
  expect(await trusted(server.port, keys[0])).toBe('accepted');
  await server.pause();
  const back = server.resume();
  await Promise.resolve();
  await Promise.resolve();
  server.replaceKeys([keys[1]]);
  await back;
  expect(await trusted(server.port, keys[1])).toBe('accepted');
  expect(await trusted(server.port, keys[0])).toBe('xtt.unknown-root');
});

test('whose port somebody else has taken meanwhile stays paused, and comes back once it is free', async () => {
  const server = await started();
  await server.pause();
  const other = createServer();
  await new Promise<void>((resolve) => other.listen(server.port, '127.0.0.1', resolve));
  await expect(server.resume()).rejects.toMatchObject({ remedy: expect.any(String) });
  expect(server.accepts).toBe(false);
  await new Promise((resolve) => other.close(resolve));
  await server.resume();
  expect([server.accepts, await accepts(server.port)]).toEqual([true, true]);
});
