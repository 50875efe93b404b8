import { join } from 'node:path';
import { ownName } from '../namespaces.ts';
import { createWorld, type Device, type World } from './world.ts';

export const NETWORK = 'fd00:e4f:1::/64';

/** A served fabric with one open group, whose label is not yet admitted. `serving`: options of `serve`. */
export async function openBatch(
  name: string,
  serving: readonly string[] = [],
): Promise<{ world: World; group: string; label: string }> {
  const world = await createWorld(ownName(name));
  try {
    const group = join(world.folder, 'group');
    await must(world.fabric.run('init'));
    await must(world.factory(['group', 'create', '--name', 'Batch', '--basename', 'batch', '--out', group]));
    await must(world.fabric.run('network', 'add', NETWORK));
    await world.fabric.serve(...serving);
    return { world, group, label: join(group, 'label.txt') };
  } catch (error) {
    await world.close();
    throw error;
  }
}

export const admit = (world: World, label: string): Promise<string> =>
  must(world.fabric.run('group', 'add', '--label', label, '--network', NETWORK));

/** Makes device `n` with a TPM personalised for the group. */
export async function personalised(world: World, group: string, n: number): Promise<Device> {
  const device = await world.device(n);
  const tpm = ['--trust', world.trust, '--tcti', device.tpm.tcti];
  await must(world.factory(['device', 'personalise', '--group', group, ...tpm], n));
  return device;
}

/** Makes device `n` with a credential in files. */
export async function inSoftware(
  world: World,
  group: string,
  n: number,
  suite = 1,
  tunnel: Record<string, unknown> = {},
): Promise<Device> {
  const device = await world.device(n);
  const folder = join(world.folder, `credential${n}`);
  await must(
    world.factory(['device', 'personalise', '--group', group, '--trust', world.trust, '--software', folder]),
  );
  device.configure({ identity: { mode: 'software', 'credential-dir': folder, suite }, tunnel });
  return device;
}

/** The outcome's stdout. @throws Error with its stderr if the exit code is not 0 */
export async function must(
  outcome: Promise<{ code: number; stdout: string; stderr: string }>,
): Promise<string> {
  const { code, stdout, stderr } = await outcome;
  if (code !== 0) throw new Error(stderr || stdout);
  return stdout;
}
