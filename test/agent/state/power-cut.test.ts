import { beforeAll, expect, test } from 'vitest';
import { provision } from '../../../agent/identity/provision.ts';
import { openSoftwareKeys } from '../../../agent/identity/software-keys.ts';
import { openStore } from '../../../agent/state/state.ts';
import { openFolder } from '../../../os/files/folder.ts';
import { toHex } from '../../../protocol/bytes.ts';
import { formatIpv6 } from '../../../protocol/ipv6.ts';
import { fragile, type Power, PowerCut, power, temporaryFolder } from '../folders.ts';
import { type IdentityServer, identityServer } from '../identity-server.ts';

let server: IdentityServer;
beforeAll(async () => {
  server = await identityServer();
});

/**
 * One start of a device over its folders: what it finds, provisioning if needed, until done or the power goes.
 * `evicted`: the fabric says so as soon as it connects.
 */
async function boot(credential: string, state: string, supply: Power, evicted = false): Promise<string> {
  const store = await openStore(fragile(await openFolder(state), supply));
  const { identity, pending } = store.record;
  if (identity && !pending && !evicted) return identity.address;
  const provisioned = await provision({
    keys: openSoftwareKeys(credential),
    store,
    suite: 1,
    requestedIdentity: new Uint8Array(16),
    connect: async () => server.connect(supply),
    links: () => [],
    nowMs: () => 0,
  });
  return provisioned.address;
}

const STEPS = ['write state-0', 'send 0x1', 'receive', 'send 0x11', 'receive', 'write state-1'];

test('a provisioning has these steps', async () => {
  const [credential, state, supply] = [temporaryFolder(), temporaryFolder(), power()];
  server.personalise(credential);
  await boot(credential, state, supply);
  expect(supply.steps).toEqual(STEPS);
});

for (let cutAt = 0; cutAt < 2 * STEPS.length; cutAt++) {
  const where = `${cutAt % 2 === 0 ? 'before' : 'after'} step ${(cutAt >> 1) + 1}, ${STEPS[cutAt >> 1]}`;

  test(`[C-18] power cut ${where}: the next start ends with one device and its address`, async () => {
    const [credential, state] = [temporaryFolder(), temporaryFolder()];
    server.personalise(credential);
    server.devices.clear();
    await expect(boot(credential, state, power(cutAt))).rejects.toBeInstanceOf(PowerCut);
    const before = [...server.devices.values()].map((row) => ({ ...row }));
    const address = await boot(credential, state, power());
    expect(server.devices.size).toBe(1);
    const [row] = [...server.devices.values()];
    expect(address).toBe(formatIpv6(row!.address));
    // The longterm key the server has is the one the device kept, from the first attempt on.
    for (const each of before) expect(toHex(row!.longtermKey)).toBe(toHex(each.longtermKey));
    const kept = (await openStore(await openFolder(state))).record;
    expect(kept).not.toHaveProperty('pending');
    const key = await openSoftwareKeys(credential).load(kept.identity!.key);
    expect(key.publicKey).toEqual(row!.longtermKey);
  });

  test(`[C-18] power cut ${where} after an eviction: same address, and the key that the fabric has`, async () => {
    const [credential, state] = [temporaryFolder(), temporaryFolder()];
    server.personalise(credential);
    server.devices.clear();
    const address = await boot(credential, state, power());
    await expect(boot(credential, state, power(cutAt), true)).rejects.toBeInstanceOf(PowerCut);
    expect((await openStore(await openFolder(state))).record.identity?.address).toBe(address);
    // Without the word of the fabric: what is in the state has to lead on.
    expect(await boot(credential, state, power())).toBe(address);
    const [row] = [...server.devices.values()];
    const { identity } = (await openStore(await openFolder(state))).record;
    const key = await openSoftwareKeys(credential).load(identity!.key);
    expect([server.devices.size, key.publicKey]).toEqual([1, row!.longtermKey]);
  });

  test(`[C-18] power cut ${where} of a rotation: the device holds the key that the fabric has, and goes on with it`, async () => {
    const [credential, state] = [temporaryFolder(), temporaryFolder()];
    server.personalise(credential);
    server.devices.clear();
    const address = await boot(credential, state, power());
    const [row] = [...server.devices.values()];
    const former = toHex(row!.longtermKey);
    await expect(boot(credential, state, power(cutAt), true)).rejects.toBeInstanceOf(PowerCut);
    const { identity, pending } = (await openStore(await openFolder(state))).record;
    const keys = openSoftwareKeys(credential);
    const held: string[] = [];
    for (const saved of [identity?.key, pending])
      if (saved !== undefined) held.push(toHex((await keys.load(saved)).publicKey));
    expect(held).toContain(toHex(row!.longtermKey));
    expect(identity?.address).toBe(address);
    // As long as the fabric has not heard of another key, the former one is in use.
    if (toHex(row!.longtermKey) === former) expect(held[0]).toBe(former);
    expect(await boot(credential, state, power())).toBe(address);
    const last = (await openStore(await openFolder(state))).record.identity!;
    expect(toHex((await keys.load(last.key)).publicKey)).toBe(toHex(row!.longtermKey));
  });
}
