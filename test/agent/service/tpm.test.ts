import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { parseConfig } from '../../../agent/config/config.ts';
import { CHECKS } from '../../../agent/doctor/checks/all.ts';
import { machineProbes } from '../../../agent/doctor/machine.ts';
import { examine } from '../../../cli/examine.ts';
import { drawMemberSecret, memberPoint } from '../../../crypto/member-secret.ts';
import { primitives } from '../../../crypto/primitives.ts';
import { formatIpv6 } from '../../../protocol/ipv6.ts';
import { encodeVerdict } from '../../../protocol/tunnel/verdict.ts';
import { type Swtpm, startSwtpm } from '../../../swtpm/swtpm.ts';
import { openTpm, type Tpm } from '../../../tpm/context.ts';
import { type HandleMap, OWNER_MAP, PLATFORM_MAP } from '../../../tpm/handles.ts';
import { prepareStorage } from '../../../tpm/parent.ts';
import { createDaaKey, writeObjects } from '../../../tpm/personalise.ts';
import { createSealedSecret } from '../../../tpm/sealed-secret.ts';
import { handlesIn, swtpmForTest, tpm2 } from '../../tpm/fixture.ts';
import { withoutEcdaa } from '../../tpm/without-ecdaa.ts';
import { boot, listen } from '../agent.ts';
import { cli } from '../cli.ts';
import { temporaryFolder } from '../folders.ts';
import { type IdentityServer, identityServer } from '../identity-server.ts';
import { makeCertificates, startTestRouter } from '../router.ts';

let certificates: ReturnType<typeof makeCertificates>;
let authority: IdentityServer;
beforeAll(async () => {
  certificates = makeCertificates();
  authority = await identityServer();
});

/** Gives the TPM the key of a member, and returns its point. */
type MakeKey = (tpm: Tpm, map: HandleMap) => Promise<Uint8Array>;
const resident: MakeKey = async (tpm, map) => (await createDaaKey(tpm, map)).key.publicPoint;
const sealed: MakeKey = async (tpm, map) => {
  const maker = { draw: () => drawMemberSecret(primitives), pointOf: memberPoint };
  return (await createSealedSecret(tpm, map, maker)).publicPoint;
};

/** A TPM as the factory leaves it. */
async function personalised(map = PLATFORM_MAP, makeKey = resident): Promise<Swtpm> {
  const swtpm = await swtpmForTest();
  const tpm = await openTpm(swtpm.tcti);
  try {
    const { gpk, credential, signature } = authority.issue(await makeKey(tpm, map));
    await writeObjects(tpm, map, {
      gpk,
      credential,
      credentialSignature: signature,
      basename: authority.basename,
      xttRoot: authority.rootCertificate,
      tlsRoot: certificates.root,
    });
  } finally {
    await tpm.close();
  }
  return swtpm;
}

async function place(tcti: string, state = temporaryFolder()) {
  authority.devices.clear();
  const router = await startTestRouter(certificates);
  const { port } = await listen(authority);
  const start = (at = tcti) =>
    boot({ state, tunnelPort: router.port, identityPort: port, identity: `[tpm]\ntcti = "${at}"` });
  return { router, start };
}

const rows = () => [...authority.devices.values()];

for (const map of [PLATFORM_MAP, OWNER_MAP]) {
  test(`${map.hierarchy} hierarchy: first boot with a handshake, later boots without, keys only in the TPM, nothing left in it`, async () => {
    const swtpm = await personalised(map);
    const { router, start } = await place(swtpm.tcti);
    const first = start();
    await first.online();
    await first.driver.stop();
    const second = start();
    await second.online();
    await second.driver.stop();
    expect(rows()).toHaveLength(1);
    expect([rows()[0]!.handshakes, second.effects.facts().handshakes]).toEqual([1, 0]);
    expect(router.clientKeys).toEqual([rows()[0]!.longtermKey, rows()[0]!.longtermKey]);
    const tpm = await openTpm(swtpm.tcti);
    expect(await handlesIn(tpm, 0x80000000)).toBe(0);
    await tpm.close();
  });
}

describe('the TPM is another matter than before', () => {
  test('[C-22] state copied to a device with another TPM: it provisions as itself and says so once', async () => {
    const [one, other] = [await personalised(), await personalised()];
    const { start } = await place(one.tcti);
    const first = start();
    await first.online();
    await first.driver.stop();
    const clone = start(other.tcti);
    await clone.online();
    expect(rows()).toHaveLength(2);
    expect(clone.driver.situation()).toMatchObject({ goal: { address: formatIpv6(rows()[1]!.address) } });
    expect(clone.log.filter((line) => line.includes('state.foreign'))).toHaveLength(1);
    await clone.driver.stop();
    const again = start(other.tcti);
    await again.online();
    expect(again.log.filter((line) => line.includes('state.foreign'))).toHaveLength(0);
    expect(rows()[1]!.handshakes).toBe(1);
  });

  test('[C-28] a cleared TPM: the longterm key is gone, the factory objects are not, the address stays', async () => {
    const swtpm = await personalised();
    const { start } = await place(swtpm.tcti);
    const first = start();
    await first.online();
    await first.driver.stop();
    tpm2(swtpm, 'clear', '-c', 'p');
    const second = start();
    await second.online();
    expect([rows().length, rows()[0]!.handshakes]).toEqual([1, 2]);
    expect(second.log.join('\n')).toContain('state.foreign');
  });

  test('[C-1] [C-28] no TPM at first: waits for it, then online by itself, without a handshake', async () => {
    const swtpm = await personalised();
    const { start } = await place(swtpm.tcti);
    const first = start();
    await first.online();
    await first.driver.stop();
    await swtpm.kill();
    const second = start();
    await second.trouble('tpm.absent');
    const back = await startSwtpm({ state: swtpm.state, port: swtpm.port });
    try {
      await second.online();
      expect([rows().length, rows()[0]!.handshakes]).toEqual([1, 1]);
      await second.driver.stop();
    } finally {
      await back.stop();
    }
  });

  test('[C-28] the TPM restarts under a running agent: the next connection is made with it again', async () => {
    const swtpm = await personalised();
    const { router, start } = await place(swtpm.tcti);
    const agent = start();
    await agent.online();
    await swtpm.kill();
    const back = await startSwtpm({ state: swtpm.state, port: swtpm.port });
    try {
      router.reset();
      await agent.until(() => expect(router.clientKeys.length).toBeGreaterThan(1));
      await agent.online();
      expect(rows()[0]!.handshakes).toBe(1);
      await agent.driver.stop();
    } finally {
      await back.stop();
    }
  });
});

test('[C-27] passwords of owner, endorsement and lockout are of no concern to a personalised device', async () => {
  const swtpm = await personalised();
  const tpm = await openTpm(swtpm.tcti);
  expect(await prepareStorage(tpm)).toBe(true);
  await tpm.close();
  for (const hierarchy of ['owner', 'endorsement', 'lockout'])
    tpm2(swtpm, 'changeauth', '-c', hierarchy, 'x');
  const { router, start } = await place(swtpm.tcti);
  const agent = start();
  await agent.online();
  router.raw(encodeVerdict({ kind: 'evicted' }));
  await agent.until(() => expect(router.clientKeys).toHaveLength(2));
  await agent.online();
  expect([rows().length, rows()[0]!.handshakes]).toEqual([1, 2]);
});

async function doctor(tcti: string) {
  const checks = CHECKS.filter(({ id }) => /^(tpm|nv|credential)/.test(id));
  const config = parseConfig(`[remote]\nhosts = ["127.0.0.1"]\n[tpm]\ntcti = "${tcti}"`, 'test');
  return examine(checks, machineProbes(config));
}
const outcomes = async (tcti: string): Promise<Record<string, string>> =>
  Object.fromEntries((await doctor(tcti)).map(({ id, outcome }) => [id, outcome]));
const whole = {
  'tpm-device': 'skipped',
  'tpm-capabilities': 'ok',
  'tpm-lockout': 'ok',
  'nv-objects': 'ok',
  credential: 'ok',
};

test('a TPM that cannot do ECDAA and keeps a sealed secret: online as others are, and it is said', async () => {
  const { tcti } = await withoutEcdaa(await personalised(PLATFORM_MAP, sealed));
  const { router, start } = await place(tcti);
  const agent = start();
  await agent.online();
  expect(agent.effects.facts()).toMatchObject({ handshakes: 1, resident: false });
  expect(router.clientKeys).toEqual([rows()[0]!.longtermKey]);
  // Another handshake: the same device.
  router.raw(encodeVerdict({ kind: 'evicted' }));
  await agent.until(() => expect(router.clientKeys).toHaveLength(2));
  await agent.online();
  expect([rows().length, rows()[0]!.handshakes]).toEqual([1, 2]);
  await agent.driver.stop();
  expect(await outcomes(tcti)).toEqual(whole);
  const found = Object.fromEntries((await doctor(tcti)).map(({ id, message }) => [id, message]));
  expect(found['tpm-capabilities']).toMatch(/IBM, firmware [\d.]+, without the curve BN_P256.*resident: no/);
  expect(found['nv-objects']).toMatch(/^sealed secret of the group key/);
  // One that was never personalised can be no device of a batch that does not allow it.
  const bare = await withoutEcdaa(await swtpmForTest());
  const { message } = (await doctor(bare.tcti)).find(({ id }) => id === 'tpm-capabilities')!;
  expect(message).toMatch(/\(IBM, firmware [\d.]+\) lacks the curve BN_P256/);
});

test('doctor on a personalised TPM, on a bare one, and where there is none', async () => {
  const [swtpm, bare] = [await personalised(), await swtpmForTest()];
  expect(await outcomes(swtpm.tcti)).toEqual(whole);
  expect(await outcomes(bare.tcti)).toEqual({ ...whole, 'nv-objects': 'failed', credential: 'failed' });
  await bare.kill();
  expect(await outcomes(bare.tcti)).toMatchObject({ 'tpm-capabilities': 'failed', 'nv-objects': 'skipped' });
  const tpm = await openTpm(swtpm.tcti);
  expect(await handlesIn(tpm, 0x80000000)).toBe(0);
  await tpm.close();
});

test('a TPM that the factory has not seen: blocked, with what to do', async () => {
  const swtpm = await swtpmForTest();
  const { start } = await place(swtpm.tcti);
  const agent = start();
  await agent.trouble('tpm.not-personalised');
  expect(agent.log.join('\n')).toContain('enf-factory device personalise');
});

test('forget leaves nothing of ours in the TPM but what the factory wrote, with which the device gets its address back', async () => {
  const swtpm = await personalised();
  // Another program's key at the common handle, so that ours is beside it.
  tpm2(swtpm, 'createprimary', '-C', 'o', '-G', 'ecc', '-c', 'p.ctx');
  tpm2(swtpm, 'evictcontrol', '-C', 'o', '-c', 'p.ctx', '0x81000001');
  tpm2(swtpm, 'flushcontext', '-t');
  const state = temporaryFolder();
  const { start } = await place(swtpm.tcti, state);
  const first = start();
  await first.online();
  await first.driver.stop();
  const persistent = () => tpm2(swtpm, 'getcap', 'handles-persistent');
  expect(persistent()).toMatch(/0x81454E50/i);
  const config = join(temporaryFolder(), 'agent.toml');
  writeFileSync(
    config,
    `[remote]\nhosts = ["127.0.0.1"]\n[tpm]\ntcti = "${swtpm.tcti}"\n[state]\ndirectory = "${state}"\n[control]\nsocket = "${state}/none.sock"\n`,
  );
  expect(JSON.parse((await cli('forget', '--yes', '--json', '--config', config)).out)).toEqual({
    forgotten: state,
    tpm: 'clean',
  });
  expect(persistent()).not.toMatch(/0x81454E50/i);
  for (const handle of ['81000001', '81800000']) expect(persistent()).toContain(handle);
  const second = start();
  await second.online();
  await second.driver.stop();
  expect(rows()).toHaveLength(1);
  expect(rows()[0]!.handshakes).toBe(2);
});

describe('out of service', () => {
  const tools = (swtpm: Swtpm) => ({
    persistent: () => tpm2(swtpm, 'getcap', 'handles-persistent'),
    indexes: () => tpm2(swtpm, 'getcap', 'handles-nv-index'),
  });
  const gone = async (swtpm: Swtpm) => {
    const state = temporaryFolder();
    const { start } = await place(swtpm.tcti, state);
    const agent = start();
    await agent.online();
    const end = agent.driver.departureEnd();
    agent.driver.decommission(true);
    return { agent, start, end: await end };
  };

  for (const map of [PLATFORM_MAP, OWNER_MAP]) {
    test(`${map.hierarchy} hierarchy: nothing of ours is left in the TPM, what others keep there stays`, async () => {
      const swtpm = await personalised(map);
      tpm2(swtpm, 'nvdefine', '0x01800001', '-C', 'o', '-s', '8');
      const { agent, start, end } = await gone(swtpm);
      expect(end).toEqual({ told: false, credential: 'removed' });
      const { persistent, indexes } = tools(swtpm);
      expect([persistent().trim(), indexes().trim().toLowerCase()]).toEqual(['- 0x81000001', '- 0x1800001']);
      await agent.driver.stop();
      const next = start();
      await next.until(() => expect(next.driver.situation().kind).toBe('decommissioned'));
      expect(rows()[0]!.handshakes).toBe(1);
    });
  }

  test('the platform hierarchy is locked: the credential stays and is named; it goes with the next start once that is open', async () => {
    const swtpm = await personalised(PLATFORM_MAP);
    tpm2(swtpm, 'changeauth', '-c', 'platform', 'x');
    const { agent, start, end } = await gone(swtpm);
    expect(end).toEqual({ told: false, credential: 'kept' });
    expect(agent.effects.facts()).toMatchObject({ decommissioned: { credential: 'kept' } });
    await agent.driver.stop();
    tpm2(swtpm, 'changeauth', '-c', 'platform', '-p', 'x', '');
    const next = start();
    await next.until(() =>
      expect(next.effects.facts()).toMatchObject({ decommissioned: { credential: 'removed' } }),
    );
    expect(tools(swtpm).persistent()).not.toMatch(/81800000/);
  });

  test('the TPM does not answer: the device is out of service, and the rest follows when it does', async () => {
    const swtpm = await personalised();
    const { start } = await place(swtpm.tcti);
    const agent = start();
    await agent.online();
    await swtpm.kill();
    agent.driver.decommission(true);
    await agent.trouble('tpm.absent');
    expect(agent.effects.facts()).toMatchObject({ decommissioned: { told: false } });
    expect(agent.effects.facts().decommissioned).not.toHaveProperty('credential');
    const again = await swtpmForTest({ state: swtpm.state, port: swtpm.port });
    await agent.until(() => expect(agent.driver.situation().kind).toBe('decommissioned'));
    expect(tools(again).persistent()).not.toMatch(/81800000/);
  });
});
