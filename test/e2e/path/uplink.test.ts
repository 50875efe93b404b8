import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { admit, inSoftware, must, openBatch, softwareIdentity } from '../batch.ts';
import { FABRIC_ADDRESS } from '../network.ts';
import { eventually, runIn } from '../process.ts';
import { type Device, ping, type World } from '../world.ts';

/** What becomes of the way out while the agent runs; the agent is the real one. */
describe('the uplink', () => {
  let world: World;
  let group: string;

  beforeAll(async () => {
    const batch = await openBatch('up');
    ({ world, group } = batch);
    await admit(world, batch.label);
  });
  afterAll(() => world?.close());

  const ip = async (device: Device, ...args: string[]): Promise<void> => {
    const { code, stderr } = await runIn(device.namespace, ['ip', ...args]);
    if (code !== 0) throw new Error(stderr);
  };
  const log = (device: Device): string =>
    readFileSync(join(world.folder, `device${device.number}.log`), 'utf8');
  const reachesFabric = async (device: Device): Promise<boolean> =>
    (await runIn(device.namespace, ['ping', '-n', '-c', '1', '-W', '1', FABRIC_ADDRESS])).code === 0;

  test('[C-1] [C-10] no network at boot, then one; another address later: online each time', async () => {
    const device = await inSoftware(world, group, 1);
    await ip(device, 'link', 'set', 'uplink', 'down');
    device.start();
    await eventually('some attempts', async () => {
      const { trouble } = (await device.status()) as unknown as {
        trouble: { code: string; attempts: number } | null;
      };
      return trouble?.code.startsWith('net.') && trouble.attempts >= 3 ? true : undefined;
    });
    await ip(device, 'link', 'set', 'uplink', 'up');
    await device.until('online');
    await ip(device, 'addr', 'add', '10.77.0.99/24', 'dev', 'uplink');
    await ip(device, 'addr', 'del', '10.77.0.11/24', 'dev', 'uplink');
    // Deleting the first address takes the others of its network with it.
    await ip(device, 'addr', 'replace', '10.77.0.99/24', 'dev', 'uplink');
    await eventually('the agent to notice', async () =>
      log(device).includes('the route to the router') ? true : undefined,
    );
    const { address } = await device.until('online');
    expect(await eventually('an answer', () => ping(world.network.fabric, address!))).toBeGreaterThan(0);
    await device.stop();
  });

  test('[C-10] an uplink is renamed, and another one replaces it: online each time, with the same configuration', async () => {
    const device = await inSoftware(world, group, 3);
    device.start();
    const { address } = await device.until('online');
    const reached = () => eventually('an answer', () => ping(world.network.fabric, address!), 60_000);
    await ip(device, 'link', 'set', 'uplink', 'down');
    await ip(device, 'link', 'set', 'uplink', 'name', 'wan0');
    await ip(device, 'link', 'set', 'wan0', 'up');
    expect(await reached()).toBeGreaterThan(0);
    // A second way, better than the first, which then goes.
    const { fabric } = world.network;
    const other = [
      'link',
      'add',
      'other3',
      'type',
      'veth',
      'peer',
      'name',
      'wan1',
      'netns',
      device.namespace,
    ];
    await must(runIn(fabric, ['ip', ...other]));
    await must(runIn(fabric, ['ip', 'link', 'set', 'other3', 'master', 'bridge0', 'up']));
    await ip(device, 'link', 'set', 'wan1', 'up');
    await ip(device, 'addr', 'add', '10.77.0.113/24', 'dev', 'wan1', 'noprefixroute');
    await ip(device, 'route', 'add', FABRIC_ADDRESS, 'dev', 'wan1', 'src', '10.77.0.113');
    await ip(device, 'link', 'set', 'wan0', 'down');
    // The old connection may go on over the new way until the agent has noticed.
    await eventually('a connection from the new address', async () => {
      const { stdout } = await runIn(device.namespace, ['ss', '-Htn', 'dport', '=', ':443']);
      return stdout.includes('10.77.0.113') ? true : undefined;
    });
    expect(await reached()).toBeGreaterThan(0);
    const { router } = (await device.until('online')) as unknown as { router: string };
    expect(router).toContain(FABRIC_ADDRESS);
    await device.stop();
  });

  test('[C-8] [C-11] lockdown: online by host name, no traffic beside the tunnel, no rules left at the end', async () => {
    const device = await inSoftware(world, group, 2);
    const etc = join('/etc/netns', device.namespace);
    mkdirSync(etc, { recursive: true });
    writeFileSync(join(etc, 'hosts'), `${FABRIC_ADDRESS} fabric.example\n`);
    const resolver = readFileSync('/etc/resolv.conf');
    try {
      device.configure({
        identity: softwareIdentity(world, 2),
        remote: { hosts: ['fabric.example'] },
        route: { mode: 'lockdown' },
      });
      expect(await reachesFabric(device)).toBe(true);
      device.start();
      const { address } = await device.until('online');
      expect(await eventually('an answer', () => ping(world.network.fabric, address!))).toBeGreaterThan(0);
      expect(await reachesFabric(device)).toBe(false);
      for (const command of [
        ['nft', 'flush', 'ruleset'],
        ['ip', '-4', 'rule', 'del', 'priority', '8391'],
        ['ip', '-6', 'rule', 'del', 'priority', '8391'],
      ]) {
        await runIn(device.namespace, command);
      }
      await eventually('the lockdown to be back', async () =>
        (await reachesFabric(device)) ? undefined : true,
      );
      await device.stop();
      expect(await reachesFabric(device)).toBe(true);
      expect((await runIn(device.namespace, ['nft', 'list', 'ruleset'])).stdout).toBe('');
      expect(readFileSync('/etc/resolv.conf')).toEqual(resolver);
    } finally {
      rmSync(etc, { recursive: true });
    }
  });
});
