import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { report } from '../../cli/program.ts';
import { eventually } from './process.ts';
import { createWorld, ping, type World } from './world.ts';

/**
 * The whole story on one machine: factory, fabric and two devices, each in its own network namespace with its own
 * software TPM. Every step does the real thing through the programs' command lines, and fails if it did not happen.
 */

const HELP = `npm run demo -- [--keep] [--help]

Plays the whole story on this machine, as root: two TPMs are personalised, the owner admits the batch by its label,
the devices boot for the first time, get their IPv6 addresses and are pinged there.

  --keep   leave everything running to poke around in, the console in a browser, too; Ctrl-C cleans up
`;
const NETWORK = 'fd00:e4f:1::/64';

const started = performance.now();
async function step<T>(title: string, act: () => Promise<readonly [T, string]>): Promise<T> {
  process.stdout.write(`${title.padEnd(46, ' ')} `);
  const before = performance.now();
  const [value, said] = await act();
  process.stdout.write(`${((performance.now() - before) / 1000).toFixed(1).padStart(5)} s   ${said}\n`);
  return value;
}

async function must(outcome: Promise<{ code: number; stdout: string; stderr: string }>): Promise<string> {
  const { code, stdout, stderr } = await outcome;
  if (code !== 0) throw new Error(stderr || stdout);
  return stdout;
}

async function story(world: World): Promise<void> {
  const group = join(world.folder, 'group');
  await step('fabric: roots, certificates, trust bundle', async () => {
    await must(world.fabric.run('init'));
    return [undefined, world.trust];
  });
  await step('factory: open a group', async () => {
    await must(
      world.factory(['group', 'create', '--name', 'Demo routers', '--basename', 'enf-demo', '--out', group]),
    );
    return [undefined, readFileSync(join(group, 'label.txt'), 'utf8').slice(0, 24).concat('…')];
  });
  const one = await world.device(1);
  const two = await world.device(2);
  for (const device of [one, two]) {
    await step(`factory: personalise TPM ${device.number}`, async () => {
      const args = [
        'device',
        'personalise',
        '--group',
        group,
        '--trust',
        world.trust,
        '--tcti',
        device.tpm.tcti,
      ];
      await must(world.factory([...args, '--json'], device.number));
      return [undefined, 'key made in the TPM, credential in its NV memory'];
    });
  }
  await step('fabric: a network, and serve', async () => {
    await must(world.fabric.run('network', 'add', NETWORK, '--name', 'home'));
    await world.fabric.serve();
    return [undefined, `${NETWORK}, identity on port 444, tunnel on 443`];
  });
  await step('device 1 knocks before its batch is admitted', async () => {
    one.start();
    await eventually('a refused handshake', async () => {
      const seen = await world.fabric.handshakes();
      return seen.find((each) => each.result !== 'ok');
    });
    return [undefined, 'refused: the group is unknown here'];
  });
  await one.stop();
  await step('fabric: the owner scans the label', async () => {
    await must(world.fabric.run('group', 'add', '--label', join(group, 'label.txt'), '--network', NETWORK));
    return [undefined, 'the batch may enter'];
  });
  const addresses: string[] = [];
  for (const device of [one, two]) {
    const address = await step(`device ${device.number}: first boot`, async () => {
      device.start();
      const now = await device.until('online');
      return [now.address!, now.address!];
    });
    addresses.push(address);
  }
  const [first, second] = addresses as [string, string];
  const pinged = (from: string, to: string, title: string): Promise<number> =>
    step(title, async () => {
      const time = await eventually('an answer', () => ping(from, to));
      return [time, `${time} ms`];
    });
  await pinged(world.network.fabric, first, 'ping: fabric → device 1');
  await pinged(one.namespace, second, 'ping: device 1 → device 2');
  const before = (await world.fabric.handshakes()).length;
  await step('device 1: reboot', async () => {
    await one.stop();
    one.start();
    const now = await one.until('online');
    if (now.address !== first) throw new Error(`came back as ${now.address}, was ${first}`);
    const after = (await world.fabric.handshakes()).length;
    if (after !== before) throw new Error(`${after - before} more handshakes, expected none`);
    return [undefined, 'same address, no handshake'];
  });
  await pinged(world.network.fabric, first, 'ping: fabric → device 1');
  await step('fabric: ban device 1', async () => {
    await must(world.fabric.run('device', 'ban', first));
    await one.until('blocked');
    if ((await ping(world.network.fabric, first)) !== undefined)
      throw new Error('a banned device still answers');
    return [undefined, 'cut at once; device 2 goes on'];
  });
  await pinged(world.network.fabric, second, 'ping: fabric → device 2');
}

/** The console, and the address at which an owner comes in. */
async function invitation(world: World): Promise<{ address: string }> {
  const origin = await world.fabric.serveConsole();
  return world.fabric.json('console', 'invite', '--hours', '24', '--url', origin);
}

function pokeAround(world: World): string {
  const inside = (namespace: string): string => `  ip netns exec ${namespace}`;
  const device = world.network.device(2);
  return [
    `${inside(world.network.fabric)} node dist/enf-fabric.mjs device list --data ${world.fabric.data}`,
    `${inside(device)} node dist/enf-agent.mjs status --config ${join(world.folder, 'device2.toml')}`,
    `${inside(device)} ip -6 addr show dev enf0`,
    `  tail -f ${join(world.folder, 'device2.log')}`,
  ].join('\n');
}

async function main(args: readonly string[]): Promise<number> {
  if (args.includes('--help')) {
    process.stdout.write(HELP);
    return 0;
  }
  const keep = args.includes('--keep');
  const world = await createWorld('demo');
  let interrupt: (code: number) => void = () => {};
  const interrupted = new Promise<number>((resolve) => {
    interrupt = resolve;
  });
  process.once('SIGINT', () => interrupt(130));
  process.once('SIGTERM', () => interrupt(143));
  try {
    const told = story(world).then(() => 0);
    const code = await Promise.race([told, interrupted]);
    if (code !== 0) {
      told.catch(() => {}); // its programs are about to be stopped under it
      return code;
    }
    process.stdout.write(
      `\nAll of it happened, in ${((performance.now() - started) / 1000).toFixed(0)} s.\n`,
    );
    process.stdout.write(
      `${keep ? 'Poke around:' : 'With "npm run demo -- --keep" you can then poke around:'}\n${pokeAround(world)}\n`,
    );
    if (keep) {
      const { address } = await invitation(world);
      process.stdout.write(
        `\nThe owner's console, for one person, in a browser on this machine:\n  ${address}\n`,
      );
      process.stdout.write('\nCtrl-C stops and removes everything.\n');
      await interrupted;
    }
    return 0;
  } catch (error) {
    process.stdout.write('\n');
    return report('demo', error);
  } finally {
    await world.close();
    process.stdout.write('cleaned up\n');
  }
}

process.exitCode = await main(process.argv.slice(2));
