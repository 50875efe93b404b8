import { copyFileSync, existsSync, mkdirSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { admit, inSoftware, must, openBatch, personalised } from '../batch.ts';
import { eventually, runIn } from '../process.ts';
import { type Device, ping, program, type World } from '../world.ts';

interface Certificates {
  readonly version: number;
  readonly certificates: readonly { name: string; root: number; fingerprint: string; key: string }[];
  readonly devices: { newest: number; older: number; c: number };
}

describe('a fabric whose keys and certificates are replaced', () => {
  let world: World;
  let group: string;
  /** With a TPM, and without. */
  let chip: Device;
  let soft: Device;

  const certificates = (): Promise<Certificates> => world.fabric.json('certificate', 'list');
  const fingerprint = async (name: string, root = 1): Promise<string> =>
    (await certificates()).certificates.find((each) => each.name === name && each.root === root)!.fingerprint;
  const learned = (version: number): Promise<unknown> =>
    eventually('the devices to learn', async () => {
      const { devices, version: now } = await certificates();
      return now === version && devices.newest === 2 && devices.older === 0 ? true : undefined;
    });
  const since = async (device: Device): Promise<string> => {
    const { situation, since: at } = (await device.status()) as never as { situation: string; since: string };
    return `${situation} ${at.slice(0, 19)}`;
  };
  const rootsOf = async (device: Device): Promise<number | undefined> =>
    ((await device.status()) as never as { roots: { version: number } | null }).roots?.version;
  const reboot = async (device: Device): Promise<void> => {
    await device.stop();
    device.start();
    await device.until('online', 60_000);
  };

  beforeAll(async () => {
    const batch = await openBatch('roots');
    ({ world, group } = batch);
    await admit(world, batch.label);
    chip = await personalised(world, group, 1);
    soft = await inSoftware(world, group, 2);
    for (const device of [chip, soft]) {
      device.start();
      await device.until('online', 60_000);
    }
  });
  afterAll(() => world?.close());

  test('takes new certificates while it serves, and no tunnel ends', async () => {
    const before = await Promise.all([since(chip), since(soft)]);
    const [router, server] = [await fingerprint('router'), await fingerprint('xtt-server')];
    await must(world.fabric.run('certificate', 'rotate', 'router'));
    await must(world.fabric.run('certificate', 'rotate', 'xtt-server'));
    expect(await fingerprint('router')).not.toBe(router);
    expect(await fingerprint('xtt-server')).not.toBe(server);
    expect(await Promise.all([since(chip), since(soft)])).toEqual(before);
    // Whoever comes now meets the new ones.
    await reboot(chip);
    await must(chip.agent('provision', '--force'));
    await chip.until('online', 60_000);
  });

  test('has a new root beside the old one, of which agents learn over their tunnels', async () => {
    const before = await Promise.all([since(chip), since(soft)]);
    await must(world.fabric.run('root', 'rotate'));
    await learned(2);
    expect([await rootsOf(chip), await rootsOf(soft)]).toEqual([2, 2]);
    expect(await Promise.all([since(chip), since(soft)])).toEqual(before);
    await reboot(soft);
    expect(await rootsOf(soft)).toBe(2);
  });

  test('declares the end of the old root, and a device that was off meanwhile learns of it', async () => {
    await soft.stop();
    const { stderr } = await world.fabric.run('root', 'end', '2', '--yes');
    expect(stderr).toContain('roots.newest');
    await must(world.fabric.run('root', 'end', '1', '--yes'));
    await eventually('the device to learn', async () => ((await rootsOf(chip)) === 3 ? true : undefined));
    // It was off meanwhile, and trusts two roots.
    soft.start();
    await soft.until('online', 60_000);
    await learned(3);
  });

  test('serves them after a restart, by the new root alone', async () => {
    await world.fabric.stop();
    await world.fabric.serve();
    for (const device of [chip, soft]) await reboot(device);
    await must(chip.agent('provision', '--force'));
    await chip.until('online', 60_000);
    expect(await rootsOf(chip)).toBe(3);
  });

  test('gets devices back whose disk was lost, and that have the first root in their TPM', async () => {
    const { address } = await chip.status();
    await chip.stop();
    rmSync(chip.state, { recursive: true });
    chip.start();
    expect((await chip.until('online', 60_000)).address).toBe(address);
    await eventually('the device to learn', async () => ((await rootsOf(chip)) === 3 ? true : undefined));
    expect(await eventually('an answer', () => ping(world.network.fabric, address!))).toBeGreaterThan(0);
  });

  test('serves without the keys of its root, which sign elsewhere', async () => {
    const [stick, request, answer] = ['stick', 'request.json', 'answer.json'].map((name) =>
      join(world.folder, name),
    ) as [string, string, string];
    await must(world.fabric.run('root', 'export', stick));
    expect(existsSync(join(world.fabric.data, 'root-2', 'xtt-root.key'))).toBe(false);
    expect(readdirSync(stick).sort()).toEqual([
      'tls-root.key',
      'tls-root.pem',
      'xtt-root.cert',
      'xtt-root.key',
    ]);
    const refused = await world.fabric.run('certificate', 'rotate', 'router');
    expect(refused.stderr).toContain('roots.keys-elsewhere');

    const before = await fingerprint('router', 2);
    await must(world.fabric.run('certificate', 'rotate', 'router', '--days', '90', '--request', request));
    expect(await fingerprint('router', 2)).toBe(before);
    // On another machine: nothing of the fabric is there.
    const elsewhere = join(world.folder, 'elsewhere');
    mkdirSync(elsewhere);
    copyFileSync(request, join(elsewhere, 'request.json'));
    const sign = [...program('fabric'), 'root', 'sign', join(elsewhere, 'request.json'), answer];
    await must(runIn(world.network.fabric, [...sign, '--keys', stick]));
    await must(world.fabric.run('certificate', 'install', answer));
    expect(await fingerprint('router', 2)).not.toBe(before);
    await reboot(soft);
    const again = await world.fabric.run('certificate', 'install', answer);
    expect(again.stderr).toContain('signing.not-expected');
  });

  test('has all of it in its audit trail', async () => {
    const { newest } = await world.fabric.json<{ newest: { action: string }[] }>('audit', '--limit', '200');
    expect(newest.map((each) => each.action)).toEqual(
      expect.arrayContaining([
        'certificate.rotate',
        'root.add',
        'root.end',
        'root.export',
        'certificate.rotate-request',
      ]),
    );
  });
});
