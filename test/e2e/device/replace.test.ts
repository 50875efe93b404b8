import { afterAll, beforeAll, expect, test } from 'vitest';
import { admit, inSoftware, openBatch } from '../batch.ts';
import { eventually } from '../process.ts';
import { type Device, ping, type World } from '../world.ts';

/** A gateway has died, and another one of the same batch is put in its place. */
let world: World;
let dead: Device;
let spare: Device;
let site: string;
let former: string;

beforeAll(async () => {
  const batch = await openBatch('replace');
  ({ world } = batch);
  await admit(world, batch.label);
  [dead, spare] = [await inSoftware(world, batch.group, 1), await inSoftware(world, batch.group, 2)];
  for (const device of [dead, spare]) device.start();
  site = (await dead.until('online', 60_000)).address!;
  former = (await spare.until('online', 60_000)).address!;
});
afterAll(() => world?.close());

test('the new device comes back by itself with the address and name of the old one', async () => {
  expect((await world.fabric.run('device', 'name', site, 'pump-7')).code).toBe(0);
  await dead.stop();
  const { code, stdout } = await world.fabric.run('device', 'replace', 'pump-7', former, '--yes');
  expect(code).toBe(0);
  expect(stdout).toContain(`has ${site} then, called pump-7 (in force`);
  await eventually('the address of the site', async () =>
    (await spare.until('online', 60_000)).address === site ? true : undefined,
  );
  expect(await eventually('an answer', () => ping(world.network.fabric, site))).toBeGreaterThan(0);
  expect(await ping(world.network.fabric, former)).toBeUndefined();
});

test('the old one stays out, and the registry says where each chip is', async () => {
  dead.start();
  await eventually('a refusal', async () =>
    (await dead.until('backing-off')).trouble?.code === 'fabric.unknown-key' ? true : undefined,
  );
  const shown = await world.fabric.run('device', 'show', former);
  expect(shown.stdout).toContain(`retired; its former chip has ${site} now`);
  const refused = await world.fabric.run('device', 'ban', former);
  expect([refused.code, refused.stderr]).toEqual([1, expect.stringContaining('fabric.device-retired')]);
});

test('retired, it is cut at once and refused', async () => {
  const { stdout } = await world.fabric.run('device', 'retire', 'pump-7', '--yes');
  expect(stdout).toContain('never admitted again');
  expect((await spare.until('blocked')).trouble?.code).toBe('fabric.retired');
  expect(await ping(world.network.fabric, site)).toBeUndefined();
});
