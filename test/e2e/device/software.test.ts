import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { defaultThreads } from '../../../fabric/router/router.ts';
import { admit, inSoftware, openBatch } from '../batch.ts';
import { eventually, runIn } from '../process.ts';
import { ping, type World } from '../world.ts';

describe('without a TPM', () => {
  let world: World;
  let group: string;

  beforeAll(async () => {
    const batch = await openBatch('soft');
    ({ world, group } = batch);
    await admit(world, batch.label);
  });
  afterAll(() => world?.close());

  for (const suite of [1, 2, 3, 4]) {
    test(`a credential in files provisions and connects with suite ${suite}`, async () => {
      const device = await inSoftware(world, group, suite, suite);
      device.start();
      const { address } = await device.until('online');
      expect(await eventually('an answer', () => ping(world.network.fabric, address!))).toBeGreaterThan(0);
      const row = (await world.fabric.handshakes()).find((each) => each.address === address);
      expect(row).toMatchObject({ suite, result: 'ok', source: `10.77.0.${10 + suite}` });
      await device.stop();
    });
  }

  test.each([
    ['auto', 'enf/2'],
    ['legacy', 'enf/1'],
  ])('tunnel.wire = "%s" speaks %s, and carries packets', async (wire, spoken) => {
    const n = wire === 'auto' ? 5 : 6;
    const device = await inSoftware(world, group, n, 1, { wire });
    device.start();
    const status = await device.until('online');
    expect(status.wire).toBe(spoken);
    expect(await eventually('an answer', () => ping(world.network.fabric, status.address!))).toBeGreaterThan(
      0,
    );
    await device.stop();
  });

  test('each thread of the router has a queue of the TUN', async () => {
    const asked = await runIn(world.network.fabric, [
      'ip',
      '-json',
      '-details',
      'link',
      'show',
      'type',
      'tun',
    ]);
    const [tun] = JSON.parse(asked.stdout);
    expect(tun.linkinfo.info_data.multi_queue).toBe(true);
    expect(tun.linkinfo.info_data.numqueues).toBe(defaultThreads());
  });
});
