import { join } from 'node:path';
import { ownName } from '../namespaces.ts';
import { eventually, type Running, startIn } from './process.ts';
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
  const identity = softwareIdentity(world, n);
  const software = ['--software', String(identity['credential-dir'])];
  await must(world.factory(['device', 'personalise', '--group', group, '--trust', world.trust, ...software]));
  device.configure({ identity: { ...identity, suite }, tunnel });
  return device;
}

/** A wire as `tunnel.wire` names it, and as the agent's status does once it is spoken. */
export const WIRES = [
  ['auto', 'enf/2'],
  ['legacy', 'enf/1'],
] as const;

/** Two devices with credentials in files and their addresses, once both are online; `more`: sections of their configuration. */
export async function twoOnline(
  world: World,
  group: string,
  wire: string,
  more: Record<string, Record<string, unknown>> = {},
): Promise<{ devices: [Device, Device]; addresses: [string, string]; spoken: string | null }> {
  const start = async (n: number): Promise<Device> => {
    const device = await inSoftware(world, group, n);
    device.configure({ ...more, identity: softwareIdentity(world, n), tunnel: { wire } });
    device.start();
    return device;
  };
  const devices: [Device, Device] = [await start(1), await start(2)];
  const status = await devices[0].until('online');
  const other = await devices[1].until('online');
  return { devices, addresses: [status.address!, other.address!], spoken: status.wire };
}

/** The section [identity] of device `n` that `inSoftware` made. */
export const softwareIdentity = (world: World, n: number): Record<string, unknown> => ({
  mode: 'software',
  'credential-dir': join(world.folder, `credential${n}`),
});

/** Milliseconds that a script waits for an answer: where one comes, and where none does. */
export const ANSWERED_MS = 20_000;
export const UNANSWERED_MS = 1_500;

/** Runs a script of Node that prints "listening" once it does, in a namespace. */
export async function startListener(world: World, namespace: string, script: string): Promise<Running> {
  const log = join(world.folder, 'listener.log');
  const listener = startIn(namespace, [process.execPath, '-e', script], log);
  await eventually('the listener', async () => listener.output().includes('listening') || undefined);
  return listener;
}

/** The outcome's stdout. @throws Error with its stderr if the exit code is not 0 */
export async function must(
  outcome: Promise<{ code: number; stdout: string; stderr: string }>,
): Promise<string> {
  const { code, stdout, stderr } = await outcome;
  if (code !== 0) throw new Error(stderr || stdout);
  return stdout;
}
