import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { type DeviceRecord, openStore } from '../../../agent/state/state.ts';
import { openFolder } from '../../../os/files/folder.ts';
import { encodeVerdict } from '../../../protocol/tunnel/verdict.ts';
import { openTpm } from '../../../tpm/context.ts';
import { handlesIn, swtpmForTest } from '../../tpm/fixture.ts';
import { boot } from '../agent.ts';
import { type EstServer, startEstServer } from '../est-server.ts';
import { temporaryFolder } from '../folders.ts';
import { makeCertificates, startTestRouter } from '../router.ts';

// The whole agent with a certificate of an EST server: everything is real but the TUN and the `ip` command.

const ADDRESS = 'fd00:e4f:1:0:a::1';

let certificates: ReturnType<typeof makeCertificates>;
let server: EstServer;
beforeAll(async () => {
  certificates = makeCertificates();
  server = await startEstServer();
});
afterAll(() => server.close());
beforeEach(() => {
  delete server.usual.answer;
});

let codes = 0;
function newCode(): string {
  const code = `code-${++codes}`;
  server.codes.set(code, ADDRESS);
  return code;
}

/** As the control socket does it. */
async function enroll(agent: ReturnType<typeof boot>) {
  const certificate = await agent.effects.enroll(newCode(), false);
  agent.driver.enrolled();
  return certificate;
}

async function place(identity = 'key-in = "file"') {
  const state = temporaryFolder();
  const roots = join(temporaryFolder(), 'roots.pem');
  writeFileSync(roots, certificates.root + readFileSync(server.tlsRoot, 'utf8'));
  /** What the router answers to the public key of a client; undefined: it takes it. */
  const policy: { answer: (key: string) => Uint8Array | undefined } = { answer: () => undefined };
  const router = await startTestRouter({
    ...certificates,
    onConnection(socket) {
      const verdict = policy.answer(keys().at(-1)!);
      if (verdict !== undefined) socket.write(verdict);
    },
  });
  const keys = (): string[] => router.clientKeys.map((key) => Buffer.from(key).toString('hex'));
  const start = () =>
    boot({
      state,
      tunnelPort: router.port,
      identityPort: 1,
      remote: `tls-root = "${roots}"\ntls-name = "*"`,
      identity: `mode = "pki"\nest-server = "${server.url}"\n${identity}`,
    });
  const record = async (): Promise<DeviceRecord> => (await openStore(await openFolder(state))).record;
  return { state, router, start, record, keys, policy };
}

test('an agent without a certificate waits and says what to do; enrolled, it connects at once, and after a start by itself', async () => {
  const { start, router, keys } = await place();
  const agent = start();
  await agent.trouble('pki.not-enrolled');
  expect(agent.driver.situation()).toMatchObject({
    kind: 'blocked',
    trouble: { action: expect.stringContaining('enf-agent enroll') },
  });
  const certificate = await enroll(agent);
  await agent.online();
  expect(agent.raised[0]).toContain(ADDRESS);
  expect(agent.effects.facts()).toMatchObject({ certificate, handshakes: 0, lastHandshake: undefined });
  await agent.driver.stop();
  const again = start();
  await again.online();
  expect(keys()[1]).toBe(keys()[0]);
  expect(again.log.join('\n')).not.toMatch(/code-/);
  expect(router.sockets.length).toBe(2);
});

test('a renewal leaves the tunnel up until there is another certificate, and the former one is gone when that is taken', async () => {
  const { start, record, keys } = await place();
  const agent = start();
  await enroll(agent);
  await agent.online();
  const before = (await record()).enrolment!.current!;
  const end = agent.driver.handshakeEnd();
  expect(agent.driver.renew()).toBe(true);
  expect(agent.driver.situation()).toMatchObject({ kind: 'online' });
  expect(await end).toEqual({ address: ADDRESS });
  await agent.until(() => expect(keys().length).toBe(2));
  await agent.online();
  expect(keys()[1]).not.toBe(keys()[0]);
  await agent.until(() => expect(agent.effects.facts().stateGeneration).toBeGreaterThan(5));
  await agent.driver.stop();
  const { enrolment } = await record();
  expect(Object.keys(enrolment!)).toEqual(['current']);
  expect(enrolment!.current!.key).not.toEqual(before.key);
});

test('a server that refuses the renewal costs nothing: the present certificate goes on, and the failure is reported', async () => {
  const { start, keys } = await place();
  const agent = start();
  await enroll(agent);
  await agent.online();
  server.usual.answer = (request, usual) =>
    request.operation === 'simplereenroll' ? { status: 403, body: '' } : usual();
  const end = agent.driver.handshakeEnd();
  agent.driver.renew();
  expect(await end).toMatchObject({ failure: { code: 'est.refused' } });
  expect(agent.driver.situation().kind).toBe('online');
  expect(keys().length).toBe(1);
});

test('a router that does not know the renewed certificate gets the former one, and that stays', async () => {
  const { start, record, keys, policy } = await place();
  const agent = start();
  await enroll(agent);
  await agent.online();
  const first = keys()[0]!;
  const former = (await record()).enrolment!.current!;
  policy.answer = (key) => (key === first ? undefined : encodeVerdict({ kind: 'unknown' }));
  agent.driver.renew();
  await agent.until(() => expect(keys().length).toBeGreaterThan(2));
  await agent.online();
  expect([keys()[1] === first, keys().at(-1) === first]).toEqual([false, true]);
  await agent.until(() => expect(agent.log.join('\n')).toContain('pki.renewal-not-taken'));
  await agent.driver.stop();
  expect((await record()).enrolment).toEqual({ current: former });
});

test('an evicted device asks for another certificate with the present one', async () => {
  const { start, keys, policy } = await place();
  const agent = start();
  await enroll(agent);
  await agent.online();
  const first = keys()[0]!;
  await agent.driver.stop();
  policy.answer = (key) => (key === first ? encodeVerdict({ kind: 'evicted' }) : undefined);
  const again = start();
  await again.online();
  expect(keys().map((key) => key === first)).toEqual([true, true, false]);
});

test('the key is made in the TPM, and never leaves it: TLS with router and EST server by what the chip signs', async () => {
  const swtpm = await swtpmForTest();
  const { start, record, keys } = await place(`[tpm]\ntcti = "${swtpm.tcti}"`);
  const agent = start();
  expect(await enroll(agent)).toMatchObject({ key: 'tpm' });
  await agent.online();
  expect((await record()).enrolment!.current!.key).toMatchObject({
    kind: 'tpm',
    pem: expect.stringContaining('TSS2 PRIVATE KEY'),
  });
  const end = agent.driver.handshakeEnd();
  agent.driver.renew();
  expect(await end).toEqual({ address: ADDRESS });
  expect(server.requests.at(-1)).toMatchObject({ operation: 'simplereenroll', client: expect.any(String) });
  await agent.until(() => expect(keys().length).toBe(2));
  await agent.online();
  expect(keys()[1]).not.toBe(keys()[0]);
  await agent.driver.stop();
  const tpm = await openTpm(swtpm.tcti);
  expect(await handlesIn(tpm, 0x8000_0000)).toBe(0);
  await tpm.close();
  const again = start();
  await again.online();
  expect(keys()[2]).toBe(keys()[1]);
});

test('a machine without a TPM has its key in a file; one that is to have it in the TPM waits for that', async () => {
  const absent = '[tpm]\ntcti = "device:/dev/no-such-tpm"';
  const { start } = await place(absent);
  const agent = start();
  expect(await enroll(agent)).toMatchObject({ key: 'file' });
  await agent.online();
  const strict = (await place(`key-in = "tpm"\n${absent}`)).start();
  await expect(strict.effects.enroll(newCode(), false)).rejects.toMatchObject({ code: 'tpm.absent' });
});
