import { beforeAll, expect, test } from 'vitest';
import { openStore } from '../../../agent/state/state.ts';
import { openFolder } from '../../../os/files/folder.ts';
import { encodeVerdict } from '../../../protocol/tunnel/verdict.ts';
import * as agents from '../agent.ts';
import { temporaryFolder } from '../folders.ts';
import { type IdentityServer, identityServer } from '../identity-server.ts';
import { makeCertificates, startTestRouter } from '../router.ts';

// What is wrong around a device: its clock, its resolver, the network's login page. Software mode over loopback.

let certificates: ReturnType<typeof makeCertificates>;
let authority: IdentityServer;
beforeAll(async () => {
  certificates = makeCertificates();
  authority = await identityServer();
});

async function home() {
  const credential = temporaryFolder();
  authority.personalise(credential, certificates.root);
  authority.devices.clear();
  const state = temporaryFolder();
  const router = await startTestRouter(certificates);
  const { port: identityPort } = await agents.listen(authority);
  const boot = (more: Partial<Parameters<typeof agents.boot>[0]> = {}) =>
    agents.boot({
      state,
      identityPort,
      tunnelPort: router.port,
      identity: `mode = "software"\ncredential-dir = "${credential}"`,
      ...more,
    });
  const record = async () => (await openStore(await openFolder(state))).record;
  return { router, boot, record };
}

const handshakes = () => [...authority.devices.values()].map((row) => row.handshakes);

test('[C-4] clock at 1970: provisioned at once, TLS waits, and the tunnel follows when the clock is set', async () => {
  const { router, boot } = await home();
  const now = { wallMs: 0 };
  const agent = boot({
    clocks: { wallMs: () => now.wallMs, steadyMs: () => performance.now(), builtMs: 1_000_000_000_000 },
  });
  await agent.trouble('clock.implausible');
  expect([handshakes(), router.sockets.length]).toEqual([[1], 0]);
  now.wallMs = Date.now();
  agent.driver.disturb('the clock jumped');
  await agent.online();
  expect(handshakes()).toEqual([1]);
});

for (const [name, wallMs] of [
  ['ten years behind', Date.now() - 10 * 31_556_952_000],
  ['ten years ahead', Date.now() + 10 * 31_556_952_000],
] as const) {
  test(`[C-5] a clock ${name} does not cost the identity`, async () => {
    const { boot } = await home();
    const first = boot();
    await first.online();
    await first.driver.stop();
    const second = boot({
      clocks: { wallMs: () => wallMs, steadyMs: () => performance.now(), builtMs: 0 },
    });
    if (wallMs > Date.now()) await second.online();
    else await second.trouble('clock.implausible');
    expect(handshakes()).toEqual([1]);
  });
}

test('[H-C9] a clock that was in the future once: the next boot is online soon, and what was kept is mended', async () => {
  const { boot, record } = await home();
  const future = Date.now() + 10 * 31_556_952_000;
  const first = boot({ clocks: { wallMs: () => future, steadyMs: () => performance.now(), builtMs: 0 } });
  await first.online();
  await first.until(() => expect(first.effects.facts().stateGeneration).toBe(3));
  await first.driver.stop();
  const second = boot();
  await second.online();
  await second.until(() => expect(second.effects.facts().stateGeneration).toBe(4));
  await second.driver.stop();
  const { time } = (await record()).lastGood as { time: string };
  expect(Date.parse(time)).toBeLessThan(future - 1_000_000);
});

test('[C-7] the addresses of the last tunnel serve when the resolver is gone', async () => {
  const { boot, record } = await home();
  const hosts = '["fabric.example"]';
  const first = boot({ hosts, resolver: async () => ['127.0.0.1'] });
  await first.online();
  await first.until(() => expect(first.effects.facts().stateGeneration).toBe(3));
  await first.driver.stop();
  expect(await record()).toMatchObject({ lastGood: { addresses: { 'fabric.example': ['127.0.0.1'] } } });
  const resolvers = [() => Promise.reject(new Error('NXDOMAIN')), () => new Promise<string[]>(() => {})];
  for (const resolver of resolvers) {
    const agent = boot({ hosts, resolver });
    await agent.online();
    await agent.driver.stop();
  }
  expect(handshakes()).toEqual([1]);
});

test('[C-7] without a resolver a literal address beside the name is enough', async () => {
  const { boot } = await home();
  const agent = boot({
    hosts: '["fabric.example", "127.0.0.1"]',
    resolver: () => Promise.reject(new Error('SERVFAIL')),
  });
  await agent.online();
});

test('[C-9] a captive portal answers instead of the fabric: reported, retried, the identity is kept', async () => {
  const { boot } = await home();
  const first = boot();
  await first.online();
  await first.driver.stop();
  const page = await startTestRouter(makeCertificates());
  const agent = boot({ tunnelPort: page.port });
  await agent.trouble('net.captive');
  expect(agent.driver.situation()).toMatchObject({
    kind: 'backing-off',
    trouble: { action: expect.stringContaining('login page') },
  });
  expect([handshakes(), page.clientKeys.length]).toEqual([[1], 0]);
});

test('[C-37] after four hundred days away: evicted meanwhile, it comes back with its address and no hands', async () => {
  const { router, boot } = await home();
  const first = boot();
  await first.online();
  const address = first.driver.situation();
  await first.driver.stop();
  const late = Date.now() + 400 * 86_400_000;
  const second = boot({ clocks: { wallMs: () => late, steadyMs: () => performance.now(), builtMs: 0 } });
  await second.until(() => expect(router.sockets).toHaveLength(2));
  router.raw(encodeVerdict({ kind: 'evicted' }));
  await second.until(() => expect(router.clientKeys).toHaveLength(3));
  await second.online();
  expect(second.driver.situation()).toMatchObject({ goal: (address as { goal: unknown }).goal });
  expect(router.clientKeys[2]).not.toEqual(router.clientKeys[0]);
  expect([authority.devices.size, handshakes()]).toEqual([1, [2]]);
});

test('a renewal: a new key at the same address; if the identity server refuses, the old one goes on', async () => {
  const { router, boot } = await home();
  const agent = boot();
  await agent.online();
  expect(agent.driver.renew()).toBe(true);
  await agent.until(() => expect(router.clientKeys).toHaveLength(2));
  await agent.online();
  expect(router.clientKeys[1]).not.toEqual(router.clientKeys[0]);
  expect([authority.devices.size, handshakes()]).toEqual([1, [2]]);
  await agent.driver.stop();

  const cut = boot({ identityPort: 1 });
  await cut.online();
  const end = cut.driver.handshakeEnd();
  cut.driver.renew();
  expect(await end).toMatchObject({ failure: { code: 'net.unreachable' } });
  // The tunnel was not touched.
  expect([cut.driver.situation().kind, router.clientKeys.length]).toEqual(['online', 3]);
  expect(router.clientKeys[2]).toEqual(router.clientKeys[1]);
  await cut.driver.stop();

  // At the next start the handshake goes first; as it fails, the router is asked, who knows the old key.
  const still = boot({ identityPort: 1 });
  await still.online();
  expect(router.clientKeys[3]).toEqual(router.clientKeys[1]);
  await still.driver.stop();

  // With an identity server the key of the renewal that broke off is finished with.
  const last = boot();
  await last.online();
  expect(handshakes()).toEqual([3]);
});
