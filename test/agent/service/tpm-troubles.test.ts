import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, expect, onTestFinished, test } from 'vitest';
import { encodeVerdict } from '../../../protocol/tunnel/verdict.ts';
import { type Swtpm, startSwtpm } from '../../../swtpm/swtpm.ts';
import { openTpm } from '../../../tpm/context.ts';
import { PLATFORM_MAP } from '../../../tpm/handles.ts';
import { createDaaKey, writeObjects } from '../../../tpm/personalise.ts';
import { probe } from '../../../tpm/probe.ts';
import { handlesIn, swtpmForTest, TRANSIENT, tpm2 } from '../../tpm/fixture.ts';
import { CC, type Fault, faultyTpm } from '../../tpm/proxy.ts';
import { boot, listen } from '../agent.ts';
import { temporaryFolder } from '../folders.ts';
import { type IdentityServer, identityServer } from '../identity-server.ts';
import { makeCertificates, startTestRouter } from '../router.ts';

// What made others switch their use of the TPM off again, each by its number in the tracker of tailscale/tailscale; docs/tpm.md.

let certificates: ReturnType<typeof makeCertificates>;
let authority: IdentityServer;
beforeAll(async () => {
  certificates = makeCertificates();
  authority = await identityServer();
});

const rows = () => [...authority.devices.values()];

/** A device with a TPM as the factory leaves it; each `start` is a start of its agent. */
async function device() {
  authority.devices.clear();
  const swtpm = await swtpmForTest();
  const tpm = await openTpm(swtpm.tcti);
  const { key } = await createDaaKey(tpm, PLATFORM_MAP);
  const { gpk, credential, signature } = authority.issue(key.publicPoint);
  await writeObjects(tpm, PLATFORM_MAP, {
    gpk,
    credential,
    credentialSignature: signature,
    basename: authority.basename,
    xttRoot: authority.rootCertificate,
    tlsRoot: certificates.root,
  });
  await tpm.close();
  const state = temporaryFolder();
  const router = await startTestRouter(certificates);
  const { port } = await listen(authority);
  const start = (tcti = swtpm.tcti, identity = '') =>
    boot({
      state,
      tunnelPort: router.port,
      identityPort: port,
      identity: identity || `[tpm]\ntcti = "${tcti}"`,
    });
  /** The first boot, with a handshake; the agent has ended. */
  const provision = async () => {
    const agent = start();
    await agent.online();
    await agent.driver.stop();
  };
  /** What the state holds: the newest of its two copies. */
  const saved = (): string => ['state-0', 'state-1'].map((name) => read(join(state, name))).join('\n');
  return { swtpm, state, router, start, provision, saved };
}

const read = (path: string): string => {
  try {
    return readFileSync(path, 'latin1');
  } catch {
    return '';
  }
};

async function powerUp({ state, port }: Swtpm): Promise<Swtpm> {
  const swtpm = await startSwtpm({ state, port });
  onTestFinished(() => swtpm.stop());
  return swtpm;
}

async function inTpm<T>(
  tcti: string,
  ask: (tpm: Awaited<ReturnType<typeof openTpm>>) => Promise<T>,
): Promise<T> {
  const tpm = await openTpm(tcti);
  try {
    return await ask(tpm);
  } finally {
    await tpm.close();
  }
}

test('[H-C11] tailscale#18005: starts and power cuts count nothing towards a lockout, and write nothing into the TPM', async () => {
  const { swtpm, start, provision } = await device();
  await provision();
  let running = swtpm;
  for (let i = 0; i < 12; i++) {
    const proxy = await faultyTpm(swtpm.port);
    const agent = start(proxy.tcti);
    await agent.online();
    for (const code of [CC.createPrimary, CC.create, CC.evictControl, CC.nvDefine, CC.nvWrite])
      expect(proxy.commands).not.toContain(code);
    if (i % 2 === 0) {
      await running.kill();
      running = await powerUp(swtpm);
    }
    await agent.driver.stop();
  }
  await inTpm(swtpm.tcti, async (tpm) => {
    expect((await probe(tpm)).lockout.counter).toBe(0);
    expect(await handlesIn(tpm, TRANSIENT)).toBe(0);
  });
  expect(rows().map(({ handshakes }) => handshakes)).toEqual([1]);
});

test('[H-C11] tailscale#18005: in a TPM that another program has locked out, the device starts, connects and proves itself anew', async () => {
  const { swtpm, start, provision, router } = await device();
  await provision();
  tpm2(swtpm, 'dictionarylockout', '-s', '-n', '2', '-t', '1000', '-l', '60');
  tpm2(swtpm, 'createprimary', '-C', 'o', '-G', 'ecc', '-c', 'p.ctx', '-p', 'right');
  for (let wrong = 0; wrong < 4; wrong++) {
    const attempt = () =>
      tpm2(swtpm, 'create', '-C', 'p.ctx', '-P', 'wrong', '-G', 'ecc', '-u', 'u', '-r', 'r');
    expect(attempt).toThrow();
    tpm2(swtpm, 'flushcontext', '-t');
  }
  expect((await inTpm(swtpm.tcti, probe)).lockedOut).toBe(true);
  const agent = start();
  await agent.online();
  const before = router.clientKeys.length;
  router.raw(encodeVerdict({ kind: 'evicted' }));
  await agent.until(() => expect(router.clientKeys).toHaveLength(before + 1));
  await agent.online();
  expect(rows().map(({ handshakes }) => handshakes)).toEqual([2]);
});

test('[H-C11] tailscale#17654: a TPM that has lost everything is named, costs no identity, and is welcome back', async () => {
  const { swtpm, start, provision, saved } = await device();
  await provision();
  const before = saved();
  const blank = await swtpmForTest();
  const stranded = start(blank.tcti);
  await stranded.trouble('tpm.not-personalised');
  expect(stranded.driver.situation().kind).toBe('blocked');
  expect(stranded.log.join('\n')).toContain('enf-factory device personalise');
  await stranded.driver.stop();
  expect(saved()).toBe(before);
  const back = start(swtpm.tcti);
  await back.online();
  expect(rows().map(({ handshakes }) => handshakes)).toEqual([1]);
});

test('[H-C11] tailscale#17654: a firmware update that clears the TPM costs a handshake, and not the address', async () => {
  const { swtpm, start, provision } = await device();
  await provision();
  tpm2(swtpm, 'clear', '-c', 'p');
  const agent = start();
  await agent.online();
  expect(agent.log.join('\n')).toContain('state.foreign');
  expect(rows().map(({ handshakes }) => handshakes)).toEqual([2]);
});

for (const [what, rc] of [
  ['its firmware is being updated', 0x12d],
  ['its memory cannot be written', 0x923],
  ['it is disabled', 0x120],
] as const) {
  test(`[H-C11] tailscale#17654: while ${what}, the key in it is not taken for another TPM's`, async () => {
    const { swtpm, start, provision, saved } = await device();
    await provision();
    const before = saved();
    const proxy = await faultyTpm(swtpm.port);
    proxy.inject(CC.load, { kind: 'answer', rc }, 3);
    const agent = start(proxy.tcti);
    await agent.online();
    expect(agent.log.join('\n')).not.toContain('state.foreign');
    expect(saved()).toBe(before);
    expect(rows().map(({ handshakes }) => handshakes)).toEqual([1]);
  });
}

test('[H-C11] tailscale#17653: a device that is to do without its TPM asks it nothing, and comes back to it', async () => {
  const { swtpm, start, provision } = await device();
  await provision();
  const credential = temporaryFolder();
  authority.personalise(credential, certificates.root);
  const proxy = await faultyTpm(swtpm.port);
  const software = `mode = "software"\ncredential-dir = "${credential}"\n[tpm]\ntcti = "${proxy.tcti}"`;
  const without = start(undefined, software);
  await without.trouble('agent.mode-changed');
  await without.driver.stop();
  expect(proxy.commands).toEqual([]);
  const again = start();
  await again.online();
  expect(rows().map(({ handshakes }) => handshakes)).toEqual([1]);
});

for (const [what, fault, times, code] of [
  ['the device is busy', { kind: 'drop' }, 1, undefined],
  ['the TPM is in lockout', { kind: 'answer', rc: 0x921 }, 2, 'tpm.did-not-sign'],
  ['the TPM was reset', { kind: 'answer', rc: 0x100 }, 1, 'tpm.did-not-sign'],
] as const satisfies readonly (readonly [string, Fault, number, string | undefined])[]) {
  test(`[H-C11] tailscale#17653: ${what} when TLS has it sign: tried again, and called a failure of the TPM`, async () => {
    const { swtpm, start, provision } = await device();
    await provision();
    const proxy = await faultyTpm(swtpm.port);
    proxy.inject(CC.sign, fault, times);
    const agent = start(proxy.tcti);
    await agent.online();
    if (code !== undefined) expect(agent.log.join('\n')).toContain(code);
    expect(agent.log.join('\n')).not.toContain('tls.handshake-failed');
    // Each attempt signs once: a TPM that refuses is not asked again and again.
    expect(proxy.commands.filter((each) => each === CC.sign)).toHaveLength(times + 1);
    expect(rows().map(({ handshakes }) => handshakes)).toEqual([1]);
  });
}

test('[H-C11] tailscale#18336: a TPM that vanishes costs no tunnel; what needs it waits for it, and goes on by itself', async () => {
  const { swtpm, start, router } = await device();
  const first = start();
  await first.online();
  await swtpm.kill();
  // The tunnel carries packets as before, and one that breaks is resumed: nothing is asked of the TPM.
  first.driver.disturb('a test');
  await first.until(() => expect(router.packets.length).toBeGreaterThan(1));
  router.reset();
  await first.until(() => expect(router.sockets).toHaveLength(2));
  await first.online();
  await first.driver.stop();

  const second = start();
  await second.trouble('tpm.absent');
  await powerUp(swtpm);
  await second.online();
  expect(rows().map(({ handshakes }) => handshakes)).toEqual([1]);
});

for (const [what, fault, times] of [
  ['gone', { kind: 'drop' }, 1],
  ['reset, and not started', { kind: 'answer', rc: 0x100 }, 1],
  ['busy (TPM_RC_RETRY)', { kind: 'answer', rc: 0x922 }, 3],
  ['busy (TPM_RC_YIELDED)', { kind: 'answer', rc: 0x908 }, 3],
  ['testing itself (TPM_RC_TESTING)', { kind: 'answer', rc: 0x90a }, 3],
  ['sparing its memory (TPM_RC_NV_RATE)', { kind: 'answer', rc: 0x920 }, 3],
] as const satisfies readonly (readonly [string, Fault, number])[]) {
  test(`[H-C11] tailscale#18336: a TPM that is ${what} in the middle of anything: the first boot makes one device`, async () => {
    const { swtpm, start } = await device();
    const proxy = await faultyTpm(swtpm.port);
    for (const code of [CC.nvRead, CC.readPublic, CC.create, CC.load, CC.sign, CC.commit, CC.evictControl])
      proxy.inject(code, fault, times);
    const agent = start(proxy.tcti);
    await agent.online();
    expect(rows()).toHaveLength(1);
    await agent.driver.stop();
    await inTpm(swtpm.tcti, async (tpm) => expect(await handlesIn(tpm, TRANSIENT)).toBe(0));
  });
}
