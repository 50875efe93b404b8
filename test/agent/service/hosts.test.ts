import type { TLSSocket } from 'node:tls';
import { beforeAll, expect, test } from 'vitest';
import type { Lookup } from '../../../os/net/lookup.ts';
import { encodeVerdict } from '../../../protocol/tunnel/verdict.ts';
import * as agents from '../agent.ts';
import { temporaryFolder } from '../folders.ts';
import { type IdentityServer, identityServer } from '../identity-server.ts';
import { makeCertificates, startTestRouter, type TestRouter } from '../router.ts';

const SERVICE = '_enf._tcp.example.org';

let certificates: ReturnType<typeof makeCertificates>;
let authority: IdentityServer;
beforeAll(async () => {
  certificates = makeCertificates();
  authority = await identityServer();
});

/** A device with two routers, the first of which is preferred; it finds them by SRV records, unless the resolver says otherwise. */
async function home(...onConnection: ((socket: TLSSocket, count: number) => void)[]) {
  const credential = temporaryFolder();
  authority.personalise(credential, certificates.root);
  const { port: identityPort } = await agents.listen(authority);
  const routers: [TestRouter, TestRouter] = [
    await startTestRouter({ ...certificates, ...(onConnection[0] && { onConnection: onConnection[0] }) }),
    await startTestRouter({ ...certificates, ...(onConnection[1] && { onConnection: onConnection[1] }) }),
  ];
  const state = temporaryFolder();
  const resolver: Lookup = async (name) =>
    name === SERVICE
      ? [`1 0 ${routers[0].port} one.example.org.`, `2 0 ${routers[1].port} two.example.org`]
      : ['127.0.0.1'];
  const boot = (more: Partial<Parameters<typeof agents.boot>[0]> = {}) =>
    agents.boot({
      ...{ state, identityPort, tunnelPort: 1, hosts: JSON.stringify([SERVICE]), resolver },
      identity: `mode = "software"\ncredential-dir = "${credential}"`,
      ...more,
    });
  return { routers, boot, state };
}

const peerPort = (agent: ReturnType<typeof agents.boot>): string | undefined =>
  agent.driver.peer()?.router.split(' ').at(-1);

test('the host with the best priority is taken, at the port of its record; the identity server at its own', async () => {
  const { routers, boot } = await home();
  const agent = boot();
  await agent.online();
  expect(peerPort(agent)).toBe(String(routers[0].port));
  expect(routers[1].sockets).toHaveLength(0);
});

test('one that ends the tunnel is left for the other, and one that is told to come later is, too', async () => {
  const { routers, boot } = await home();
  const agent = boot();
  await agent.online();
  routers[0].reset();
  await agent.until(() => expect(peerPort(agent)).toBe(String(routers[1].port)));
  expect(routers[0].sockets).toHaveLength(1);
  routers[1].raw(encodeVerdict({ kind: 'retry-after', seconds: 1 }));
  await agent.until(() => expect(routers[0].sockets).toHaveLength(2));
  await agent.online();
});

test('one that lets nobody in for ten minutes, as it cannot ask the registry, is left for the other at once', async () => {
  const refusal = encodeVerdict({ kind: 'retry-after', seconds: 600 });
  const { routers, boot } = await home((socket) => void socket.write(refusal));
  const agent = boot();
  await agent.online();
  expect(peerPort(agent)).toBe(String(routers[1].port));
  expect(routers[0].sockets).toHaveLength(1);
  // The one that refused is not asked again before its time is over.
  routers[1].reset();
  await agent.until(() => expect(routers[1].sockets).toHaveLength(2));
  await agent.online();
  expect(routers[0].sockets).toHaveLength(1);
});

test('if both let nobody in it is asked once, each, and the device waits', async () => {
  const refuse = (socket: TLSSocket): void => {
    socket.write(encodeVerdict({ kind: 'retry-after', seconds: 600 }));
  };
  const { routers, boot } = await home(refuse, refuse);
  const agent = boot();
  await agent.until(() => {
    const situation = agent.driver.situation();
    if (situation.kind !== 'backing-off') throw new Error(situation.kind);
    expect(situation.trouble).toMatchObject({ code: 'fabric.retry-after', attempts: 2 });
    expect(situation.untilMs - situation.sinceMs).toBeGreaterThanOrEqual(600_000);
  });
  expect(routers.map(({ sockets }) => sockets.length)).toEqual([1, 1]);
});

test('what is about the device is no reason to ask another host', async () => {
  const { routers, boot } = await home();
  const agent = boot();
  await agent.online();
  routers[0].raw(encodeVerdict({ kind: 'unknown' }));
  await agent.until(() => expect(routers[0].sockets).toHaveLength(2));
  await agent.online();
  expect(routers[1].sockets).toHaveLength(0);
});

test('a host that cannot be reached is passed over, and asked last from then on', async () => {
  const { routers, boot } = await home();
  const lost: Lookup = async (name) =>
    name === SERVICE ? [`1 0 1 gone.example.org`, `2 0 ${routers[1].port} two.example.org`] : ['127.0.0.1'];
  const agent = boot({ resolver: lost });
  await agent.online();
  expect(peerPort(agent)).toBe(String(routers[1].port));
});

test('without a resolver the records and addresses of the last good tunnel serve; without those it is said', async () => {
  const { routers, boot } = await home();
  const broken: Lookup = () => Promise.reject(new Error('SERVFAIL'));
  const lost = boot({ resolver: broken });
  await lost.trouble('net.no-such-host');
  expect(lost.effects.addresses()).toEqual([]);
  await lost.driver.stop();

  const first = boot();
  await first.online();
  await first.until(() => expect(first.effects.facts().stateGeneration).toBeGreaterThanOrEqual(3));
  // What is watched are addresses, not records.
  expect(first.effects.addresses()).toEqual(
    ['127.0.0.1', '127.0.0.1'].slice(0, first.effects.addresses().length),
  );
  await first.driver.stop();

  const second = boot({ resolver: broken });
  await second.online();
  expect(peerPort(second)).toBe(String(routers[0].port));
});
