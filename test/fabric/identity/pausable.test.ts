import { connect } from 'node:net';
import { expect, onTestFinished, test } from 'vitest';
import { ecdsaSigner, generateP256, primitives } from '../../../crypto/primitives.ts';
import { startPausable } from '../../../fabric/identity/pausable.ts';
import { makeRootCertificate, makeServerCertificate } from '../../../protocol/xtt/certificate.ts';
import { opened, registryFile } from '../place.ts';

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

async function serverKey() {
  const [root, server] = [generateP256(), generateP256()];
  const rootId = primitives.random(16);
  return {
    root: makeRootCertificate(rootId, root.publicKey),
    certificate: await makeServerCertificate(
      { rootId, publicKey: server.publicKey },
      ecdsaSigner(root.secret),
    ),
    key: server.secret,
  };
}

test('an identity server leaves its port, and comes back to it', async () => {
  const server = await startPausable(
    {
      ...{
        listen: { host: '127.0.0.1', port: 0 },
        keys: [await serverKey()],
        registry: opened(registryFile()),
      },
      ...{ log: () => {}, processes: 1, maxConnections: 10 },
    },
    1_000,
  );
  onTestFinished(server.close);
  const { port } = server;
  expect([server.accepts, await accepts(port)]).toEqual([true, true]);
  await server.pause();
  await server.pause();
  expect([server.accepts, await accepts(port)]).toEqual([false, false]);
  server.replaceKeys([await serverKey()]);
  await server.resume();
  expect([server.accepts, await accepts(port), server.port]).toEqual([true, true, port]);
  // In the order in which it was asked; once it is closed it stays so.
  await Promise.all([server.pause(), server.resume(), server.pause(), server.close(), server.resume()]);
  expect([server.accepts, await accepts(port)]).toEqual([false, false]);
});
