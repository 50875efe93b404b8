import { cpSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { admit, inSoftware, must, openBatch, personalised, softwareIdentity } from '../batch.ts';
import { eventually } from '../process.ts';
import { type Device, ping, type World } from '../world.ts';

/** Gateways go out of service, and both ends know. */
let world: World;
let chip: Device;
let files: Device;
let address: string;

beforeAll(async () => {
  const batch = await openBatch('leaving');
  ({ world } = batch);
  await admit(world, batch.label);
  [chip, files] = [await personalised(world, batch.group, 1), await inSoftware(world, batch.group, 2)];
  files.configure({
    identity: { ...softwareIdentity(world, 2), 'rotate-after': '1h' },
  });
  for (const device of [chip, files]) device.start();
  address = (await chip.until('online', 60_000)).address!;
  await files.until('online', 60_000);
});
afterAll(() => world?.close());

const newest = async () =>
  (await world.fabric.json<{ newest: Record<string, unknown>[] }>('audit', '--limit', '1')).newest[0]!;

test('a device whose keys are replaced shows when the next one is due', async () => {
  const { rotation, lastHandshake } = JSON.parse((await files.agent('status', '--json')).stdout);
  const minutes = (Date.parse(rotation.next) - Date.parse(lastHandshake)) / 60_000;
  expect(minutes).toBeGreaterThanOrEqual(54);
  expect(minutes).toBeLessThanOrEqual(60);
  expect(JSON.parse((await chip.agent('status', '--json')).stdout).rotation).toBeNull();
});

test('a device takes another key beside its tunnel, at the same address, and the fabric takes it', async () => {
  expect(await must(chip.agent('provision', '--force'))).toBe(`provisioned: identity ${address}\n`);
  expect(await newest()).toMatchObject({
    action: 'device.rekey',
    subject: address,
    detail: { rekeyed: true },
  });
  await chip.until('online');
  expect(await eventually('an answer', () => ping(world.network.fabric, address))).toBeGreaterThan(0);
});

test('the fabric retires the device, which forgets who it was, and stays down', async () => {
  const { code, stdout, stderr } = await chip.agent('decommission', '--yes', '--address', address, '--json');
  expect([code, stderr]).toEqual([0, '']);
  expect(JSON.parse(stdout)).toEqual({ address, told: true, credential: 'removed' });
  expect((await chip.status()).situation).toBe('decommissioned');
  expect(await newest()).toMatchObject({
    action: 'device.retire',
    actor: 'fabric',
    subject: address,
    detail: { asked: 'device' },
  });
  expect((await world.fabric.run('device', 'show', address)).stdout).toContain('retired');
  expect(await ping(world.network.fabric, address)).toBeUndefined();
  await chip.stop('SIGKILL');
  chip.start();
  await chip.until('decommissioned');
  const bare = await world.factory(['device', 'verify', '--tcti', chip.tpm.tcti], 1);
  expect([bare.code, bare.stderr]).toEqual([1, expect.stringContaining('tpm.not-personalised')]);
});

test('its credential, had somebody copied it, is of no use', async () => {
  const { address: own } = await files.status();
  const folder = join(world.folder, 'credential2');
  const copy = join(world.folder, 'copy');
  cpSync(folder, copy, { recursive: true });
  await must(files.agent('decommission', '--yes', '--address', own!));
  expect(readdirSync(folder)).toEqual([]);
  await files.stop();
  cpSync(copy, folder, { recursive: true });
  rmSync(files.state, { recursive: true });
  files.start();
  await eventually('a refusal', async () =>
    (await world.fabric.handshakes()).some(
      ({ result, address: at }) => result === 'fabric.device-retired' && (at === null || at === own),
    )
      ? true
      : undefined,
  );
  expect((await files.status()).address).toBeNull();
});
