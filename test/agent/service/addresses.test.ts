import { writeFileSync } from 'node:fs';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import type { TLSSocket } from 'node:tls';
import { beforeAll, beforeEach, expect, onTestFinished, test, vi } from 'vitest';
import { parseConfig } from '../../../agent/config/config.ts';
import { estClient } from '../../../agent/identity/est.ts';
import { encodeDrain } from '../../../protocol/tunnel/drain.ts';
import { encodeVerdict } from '../../../protocol/tunnel/verdict.ts';
import * as agents from '../agent.ts';
import { temporaryFolder } from '../folders.ts';
import { type IdentityServer, identityServer } from '../identity-server.ts';
import { makeCertificates, startTestRouter } from '../router.ts';

/** Nodes of a fabric that devices know by one name: each has an address, and all have the same ports. */
const [ONE, TWO, THREE] = ['127.0.0.1', '127.0.0.2', '127.0.0.3'] as const;
const NAME = 'enf.example.org';

let certificates: ReturnType<typeof makeCertificates>;
let authority: IdentityServer;
beforeAll(async () => {
  certificates = makeCertificates();
  authority = await identityServer();
});
// Addresses keep the order of the resolver.
beforeEach(() => {
  const chance = vi.spyOn(Math, 'random').mockReturnValue(1 - 2 ** -30);
  return () => chance.mockRestore();
});

/** A node that accepts connections and says nothing, or ends them at once; `port` 0: any that is free. */
async function stuck(host: string, port: number, how: 'hangs' | 'ends' = 'hangs') {
  const sockets: Socket[] = [];
  const server = createServer((socket) => {
    sockets.push(socket.on('error', () => {}));
    if (how === 'ends') socket.destroy();
  });
  await new Promise<void>((resolve) => server.listen(port, host, resolve));
  onTestFinished(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return { port: (server.address() as AddressInfo).port, sockets };
}

/** A router at each of those addresses, all at one port. */
async function routers(addresses: readonly string[], onConnection?: (socket: TLSSocket) => void) {
  const [host, ...others] = addresses;
  const options = { ...certificates, ...(onConnection && { onConnection }) };
  const first = await startTestRouter({ ...options, listen: { host: host!, port: 0 } });
  const { port } = first;
  return {
    ...{ port, first },
    others: await Promise.all(
      others.map((each) => startTestRouter({ ...certificates, listen: { host: each, port } })),
    ),
  };
}

/** A device that knows the fabric by a name with these addresses; an identity server of their own is at 127.0.0.1 unless it is given. */
async function device(addresses: readonly string[], tunnelPort: number, identity?: { port: number }) {
  const credential = temporaryFolder();
  authority.personalise(credential, certificates.root);
  const { port: identityPort } = identity ?? (await agents.listen(authority));
  const agent = agents.boot({
    ...{ state: temporaryFolder(), identityPort, tunnelPort, hosts: `["${NAME}"]` },
    resolver: async () => addresses,
    identity: `mode = "software"\ncredential-dir = "${credential}"`,
  });
  const at = (): string | undefined => agent.driver.peer()?.router.split(' ')[0];
  return { ...agent, at };
}

test('a node that accepts connections and says nothing is left for another one of the same name', async () => {
  const { port, first } = await routers([ONE]);
  const hung = await stuck(TWO, port);
  const agent = await device([TWO, ONE], port);
  await agent.online();
  expect([agent.at(), hung.sockets.length]).toEqual([ONE, 1]);
  // Nor is it tried again when the next tunnel is made, as long as the other one is there.
  first.reset();
  await agent.until(() => expect(first.sockets).toHaveLength(2));
  await agent.online();
  expect(hung.sockets).toHaveLength(1);
});

test('one that tells the device to come later is left out, and another one of the name is asked at once', async () => {
  const refusal = encodeVerdict({ kind: 'retry-after', seconds: 600 });
  const { port, first, others } = await routers([ONE, TWO], (socket) => void socket.write(refusal));
  const agent = await device([ONE, TWO], port);
  await agent.online();
  expect(agent.at()).toBe(TWO);
  others[0]!.reset();
  await agent.until(() => expect(others[0]!.sockets).toHaveLength(2));
  await agent.online();
  expect(first.sockets).toHaveLength(1);
});

test('an address of the other family is none to ask at once: it may be the same node', async () => {
  const refusal = encodeVerdict({ kind: 'retry-after', seconds: 600 });
  const { port, first } = await routers(['::'], (socket) => void socket.write(refusal));
  const agent = await device(['::1', ONE], port);
  await agent.until(() => expect(agent.driver.situation()).toMatchObject({ kind: 'backing-off' }));
  expect(agent.driver.situation()).toMatchObject({ trouble: { code: 'fabric.retry-after', attempts: 1 } });
  expect(first.sockets).toHaveLength(1);
});

test('a device leaves a node that is drained for another one of the name, and not for one that was not there', async () => {
  const { port, first, others } = await routers([ONE, TWO]);
  const agent = await device([ONE, THREE, TWO, '::1'], port);
  await agent.online();
  expect(agent.at()).toBe(ONE);
  first.send(encodeDrain({ kind: 'leave', within: 1, after: 0, spread: 0 }));
  await agent.until(() => expect(agent.at()).toBe(TWO));
  expect(agent.driver.situation()).toMatchObject({ kind: 'online' });
  expect(agent.log.join('\n')).toContain('moved to another host');
  expect([first.sockets.length, others[0]!.sockets.length]).toEqual([1, 1]);
});

test('a node with an address of each family is one, and a device stays there when it is drained', async () => {
  const { port, first } = await routers(['::']);
  const agent = await device(['::1', ONE], port);
  await agent.online();
  first.send(encodeDrain({ kind: 'leave', within: 60, after: 0, spread: 0 }));
  await agent.until(() => expect(agent.driver.situation()).toHaveProperty('drain'));
  expect(agent.driver.situation()).toMatchObject({ drain: { elsewhere: false } });
  // And comes back over the same family.
  first.sockets[0]!.end();
  await agent.until(() => expect(first.sockets).toHaveLength(2));
  await agent.online();
  expect(agent.at()).toBe('::1');
});

test.each(['hangs', 'ends'] as const)(
  'an identity server that accepts connections and %s is left for another one',
  async (how) => {
    const { port } = await routers([ONE]);
    const identity = await agents.listen(authority);
    const broken = await stuck(TWO, identity.port, how);
    const agent = await device([TWO, ONE], port, identity);
    await agent.online();
    expect([broken.sockets.length, identity.sockets.length]).toEqual([1, 1]);
  },
);

test('an EST server that ends connections is not the first of the next attempt', async () => {
  const root = join(temporaryFolder(), 'root.pem');
  writeFileSync(root, certificates.root);
  const one = await stuck(ONE, 0, 'ends');
  const { port } = one;
  const two = await stuck(TWO, port, 'ends');
  const client = estClient({
    config: parseConfig(
      `[remote]\nhosts = ["${NAME}"]\ntls-root = "${root}"\n[identity]\nmode = "pki"\nest-server = "https://est.example.org:${port}/.well-known/est"\n`,
      'agent.toml',
    ),
    lookup: async () => [ONE, TWO],
    ...{
      proxy: undefined,
      mark: 0,
      stopping: new AbortController().signal,
      steadyMs: () => performance.now(),
    },
  });
  for (const expected of [0, 1]) {
    await expect(client.cacerts({ code: 'once' })).rejects.toMatchObject({ code: 'tls.handshake-failed' });
    expect([one.sockets.length, two.sockets.length]).toEqual([1, expected]);
  }
});
