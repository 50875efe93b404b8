import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { admit, inSoftware, openBatch } from '../batch.ts';
import { eventually, runIn } from '../process.ts';
import type { Device, World } from '../world.ts';

/** How `enf-fabric device show --json` sees a tunnel. */
interface Seen {
  readonly online: boolean;
  readonly silentSince?: string;
}

describe('[H-C13] a device that vanishes without a word', () => {
  let world: World;
  let devices: [Device, Device];

  beforeAll(async () => {
    const batch = await openBatch('si');
    world = batch.world;
    await admit(world, batch.label);
    devices = [
      await inSoftware(world, batch.group, 1),
      // As quiet as an enftun: nothing comes from it for five minutes.
      await inSoftware(world, batch.group, 2, 1, { wire: 'legacy', 'heartbeat-period': '300s' }),
    ];
    for (const device of devices) device.start();
  });
  afterAll(() => world?.close());

  test('is silent at both ends, and then given up; one that is only quiet is neither', async () => {
    const [gone, quiet] = await Promise.all(
      devices.map(async (each) => (await each.until('online')).address!),
    );
    const seen = (address: string): Promise<Seen> => world.fabric.json('device', 'show', address);
    await runIn(devices[0].namespace, ['ip', 'link', 'set', 'uplink', 'down']);

    await devices[0].until('silent', 60_000);
    await devices[0].until('backing-off', 60_000);
    // The status may already have the code of the next attempt, which ends as unreachable.
    expect(readFileSync(join(world.folder, 'device1.log'), 'utf8')).toMatch(/tunnel\.silent/);

    const silent = await eventually(
      'the fabric to miss it',
      async () => {
        const now = await seen(gone!);
        return now.silentSince === undefined ? undefined : now;
      },
      120_000,
    );
    expect(silent.online).toBe(true);
    expect((await world.fabric.run('device', 'list')).stdout).toMatch(/silent since/);
    expect((await world.fabric.run('device', 'show', gone!)).stdout).toMatch(/Tunnel +silent since/);
    await eventually(
      'the fabric to give it up',
      async () => ((await seen(gone!)).online ? undefined : true),
      120_000,
    );
    expect((await seen(gone!)).silentSince).toBeUndefined();

    const other = await seen(quiet!);
    expect([other.online, other.silentSince]).toEqual([true, undefined]);
    expect((await devices[1].status()).situation).toBe('online');
  }, 300_000);
});
