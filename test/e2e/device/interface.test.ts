import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { admit, inSoftware, openBatch } from '../batch.ts';
import { eventually, runIn } from '../process.ts';
import { type Device, ping, type World } from '../world.ts';

/** What others do to the interface of a tunnel that is up; the agent is the real one. */
describe('the interface of the tunnel', () => {
  let world: World;
  let device: Device;
  let flags: string;

  beforeAll(async () => {
    const batch = await openBatch('if');
    world = batch.world;
    await admit(world, batch.label);
    device = await inSoftware(world, batch.group, 1);
    flags = join(world.folder, 'flags');
    mkdirSync(flags);
    device.start({ environment: { RUNTIME_DIRECTORY: flags } });
    await device.until('online');
  });
  afterAll(() => world?.close());

  const inDevice = async (...command: string[]): Promise<void> => {
    const { code, stderr } = await runIn(device.namespace, command);
    if (code !== 0) throw new Error(stderr);
  };
  /** What enf-online.target follows. */
  const flag = (): string[] => ['online', 'offline'].filter((name) => existsSync(join(flags, name)));
  const log = (): string => readFileSync(join(world.folder, 'device1.log'), 'utf8');
  const answers = async (): Promise<number | undefined> => {
    const { situation, address } = await device.status();
    return situation === 'online' ? ping(world.network.fabric, address!) : undefined;
  };

  test('[H-C7] renamed, set down, without its address: the address answers again', async () => {
    for (const command of [
      'ip link set enf0 name other0',
      'ip link set enf0 down',
      'ip -6 addr flush dev enf0 scope global',
    ]) {
      await inDevice(...command.split(' '));
      await eventually('the interface to be restored', async () => {
        const { stdout } = await runIn(device.namespace, ['ip', '-j', 'addr', 'show', 'dev', 'enf0']);
        const { address } = await device.status();
        return stdout.includes(`"${address}"`) ? true : undefined;
      });
      expect(await eventually('an answer', answers)).toBeGreaterThan(0);
      expect(flag()).toEqual(['online']);
    }
  });

  for (const [what, ...command] of [
    ['deleted', 'ip', 'link', 'del', 'enf0'],
    ['without IPv6', 'sysctl', '-qw', 'net.ipv6.conf.enf0.disable_ipv6=1'],
  ] as const) {
    test(`[H-C7] ${what}: offline, then online with a new interface`, async () => {
      const before = log().length;
      await inDevice(...command);
      await eventually('the agent to say so', async () =>
        /os\.(tun-lost|ipv6-disabled)/.test(log().slice(before)) ? true : undefined,
      );
      expect(await eventually('an answer', answers)).toBeGreaterThan(0);
      expect(flag()).toEqual(['online']);
    });
  }

  test('[H-C7] the host switches IPv6 off: the status says so, and nothing is online until it is back', async () => {
    const switchIpv6 = (off: 0 | 1): Promise<void> =>
      inDevice(
        'sysctl',
        '-qw',
        ...['default', 'all'].map((name) => `net.ipv6.conf.${name}.disable_ipv6=${off}`),
      );
    await switchIpv6(1);
    await eventually('the status to say so', async () =>
      (await device.status()).trouble?.code === 'os.ipv6-disabled' ? true : undefined,
    );
    expect(flag()).toEqual(['offline']);
    await switchIpv6(0);
    await device.until('online');
    expect(flag()).toEqual(['online']);
    expect(await eventually('an answer', answers)).toBeGreaterThan(0);
  });
});
