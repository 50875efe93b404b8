import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { admit, inSoftware, must, openBatch, personalised } from '../batch.ts';
import { eventually } from '../process.ts';
import { type Device, ping, type World } from '../world.ts';

describe('[H-C1] a fabric that was restored from an older backup', () => {
  let world: World;
  let backup: string;
  let suspended: string;
  /** Admitted before the backup. */
  let older: Device;
  let renewed: Device;
  /** Admitted after it: in an open group, and in one that is suspended now. */
  let younger: Device;
  let shut: Device;
  const addresses = new Map<Device, string>();

  const online = async (device: Device): Promise<string> => (await device.until('online', 60_000)).address!;
  const begin = async (device: Device): Promise<void> => {
    device.start();
    addresses.set(device, await online(device));
  };
  const accepted = async (device: Device): Promise<number> =>
    (await world.fabric.handshakes()).filter(
      (each) => each.result === 'ok' && each.address === addresses.get(device),
    ).length;

  beforeAll(async () => {
    const batch = await openBatch('back');
    ({ world } = batch);
    backup = join(world.folder, 'fabric.backup');
    const other = join(world.folder, 'other');
    await must(world.factory(['group', 'create', '--name', 'Other', '--basename', 'other', '--out', other]));
    await admit(world, batch.label);
    await admit(world, join(other, 'label.txt'));
    const groups = await world.fabric.json<{ gid: string; name: string }[]>('group', 'list');
    suspended = groups.find((group) => group.name === 'Other')!.gid;
    older = await inSoftware(world, batch.group, 1);
    renewed = await inSoftware(world, batch.group, 2);
    for (const device of [older, renewed]) await begin(device);

    await must(world.fabric.run('backup', 'create', backup));
    younger = await personalised(world, batch.group, 3);
    shut = await inSoftware(world, other, 4);
    for (const device of [younger, shut]) await begin(device);
    await must(renewed.agent('provision', '--force'));

    await world.fabric.stop();
    rmSync(world.fabric.data, { recursive: true });
    await must(world.fabric.run('restore', backup));
    await must(world.fabric.run('group', 'suspend', suspended));
    await world.fabric.serve();
  });
  afterAll(() => world?.close());

  test('keeps the devices that it knows, without a handshake', async () => {
    expect(await online(older)).toBe(addresses.get(older));
    expect(await accepted(older)).toBe(1);
  });

  test('gets those back that are younger than the backup, with their addresses', async () => {
    await eventually('a handshake', async () => ((await accepted(younger)) === 1 ? true : undefined), 60_000);
    expect(await online(younger)).toBe(addresses.get(younger));
    expect(
      await eventually('an answer', () => ping(world.network.fabric, addresses.get(younger)!)),
    ).toBeGreaterThan(0);
  });

  test('gets those back that have a newer key than the backup', async () => {
    await eventually('a handshake', async () => ((await accepted(renewed)) === 2 ? true : undefined), 60_000);
    expect(await online(renewed)).toBe(addresses.get(renewed));
  });

  test('lets nobody back whose group is suspended, until it is resumed; the identity stays', async () => {
    await eventually('a refusal', async () =>
      (await world.fabric.handshakes()).find((each) => each.result === 'fabric.group-suspended'),
    );
    expect(await accepted(shut)).toBe(0);
    const status = await shut.status();
    expect([status.situation, status.address]).toEqual([
      expect.not.stringMatching('online'),
      addresses.get(shut),
    ]);
    await must(world.fabric.run('group', 'resume', suspended));
    await shut.stop(); // a reboot asks at once
    shut.start();
    expect(await online(shut)).toBe(addresses.get(shut));
  });

  test('has an unbroken audit trail, which tells of the restore', async () => {
    const { newest } = await world.fabric.json<{ newest: { action: string }[] }>('audit', '--limit', '100');
    expect(newest.map((each) => each.action)).toEqual(
      expect.arrayContaining(['fabric.restore', 'device.admit', 'device.rekey', 'group.resume']),
    );
  });
});
