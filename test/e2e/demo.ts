import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { report } from '../../cli/program.ts';
import { must } from './batch.ts';
import { type Cluster, createCluster } from './cluster/cluster.ts';
import { playCluster } from './cluster/story.ts';
import { step } from './narration.ts';
import { eventually } from './process.ts';
import { createWorld, type Fabric, ping, type World } from './world.ts';

/**
 * The whole story on one machine: factory, fabric and two devices, each in its own network namespace with its own
 * software TPM. Every step does the real thing through the programs' command lines, and fails if it did not happen.
 */

const HELP = `npm run demo -- [--cluster] [--keep] [--help]

Plays the whole story on this machine, as root: two TPMs are personalised, the owner admits the batch by its label,
the devices boot for the first time, get their IPv6 addresses and are pinged there.

  --cluster   the fabric on three hosts instead, with one PostgreSQL server and BIRD: devices find any of them, one is
              drained, and in the end one is killed while a ping goes on, which says how many were lost; about
              a minute (docs/scale.md)
  --keep      leave everything running to poke around in, the console in a browser, too; Ctrl-C cleans up
`;
const NETWORK = 'fd00:e4f:1::/64';

const started = performance.now();

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

/** What is played, and what can be looked at afterwards. */
interface Play {
  story(): Promise<void>;
  /** Commands for whoever looks around. */
  readonly pokeAround: () => string;
  /** Which fabric the owner comes in at. */
  readonly owners: Fabric;
  close(): Promise<void>;
}

const inside = (namespace: string): string => `  ip netns exec ${namespace}`;

async function oneHost(): Promise<Play> {
  const world = await createWorld('demo');
  const { network, fabric, folder } = world;
  const pokeAround = (): string => {
    const device = network.device(2);
    return [
      `${inside(network.fabric)} node dist/enf-fabric.mjs device list --data ${fabric.data}`,
      `${inside(device)} node dist/enf-agent.mjs status --config ${join(folder, 'device2.toml')}`,
      `${inside(device)} ip -6 addr show dev enf0`,
      `  tail -f ${join(folder, 'device2.log')}`,
    ].join('\n');
  };
  return { story: () => story(world), pokeAround, owners: fabric, close: world.close };
}

async function threeHosts(): Promise<Play> {
  const cluster: Cluster = await createCluster('demo-nodes', ['a', 'b', 'c']);
  const { world } = cluster;
  const [a, b] = [cluster.node('a'), cluster.node('b')];
  const pokeAround = (): string =>
    [
      `${inside(b.namespace)} node dist/enf-fabric.mjs node list --data ${b.fabric.data}`,
      `${inside(b.namespace)} node dist/enf-fabric.mjs device list --data ${b.fabric.data}`,
      `${inside(b.namespace)} ip -6 route show table 100`,
      `${inside(b.namespace)} birdc -s ${b.bird} show protocols`,
      `${inside(world.network.device(1))} node dist/enf-agent.mjs status --config ${join(world.folder, 'device1.toml')}`,
      '  # starts node a, which was killed, until Ctrl-C:',
      `${inside(a.namespace)} node dist/enf-fabric.mjs serve --data ${a.fabric.data} --config ${a.config}`,
    ].join('\n');
  return { story: () => playCluster(cluster), pokeAround, owners: b.fabric, close: cluster.close };
}

/** The console, and the address at which an owner comes in. */
async function invitation(fabric: Fabric): Promise<{ address: string }> {
  const origin = await fabric.serveConsole();
  return fabric.json('console', 'invite', '--hours', '24', '--url', origin);
}

async function main(args: readonly string[]): Promise<number> {
  if (args.includes('--help')) {
    process.stdout.write(HELP);
    return 0;
  }
  const keep = args.includes('--keep');
  const again = args.includes('--cluster') ? '--cluster --keep' : '--keep';
  let interrupt: (code: number) => void = () => {};
  const interrupted = new Promise<number>((resolve) => {
    interrupt = resolve;
  });
  process.once('SIGINT', () => interrupt(130));
  process.once('SIGTERM', () => interrupt(143));
  const play = await (args.includes('--cluster') ? threeHosts() : oneHost());
  try {
    const told = play.story().then(() => 0);
    const code = await Promise.race([told, interrupted]);
    if (code !== 0) {
      told.catch(() => {}); // its programs are about to be stopped under it
      return code;
    }
    process.stdout.write(
      `\nAll of it happened, in ${((performance.now() - started) / 1000).toFixed(0)} s.\n`,
    );
    process.stdout.write(
      `${keep ? 'Poke around:' : `With "npm run demo -- ${again}" you can then poke around:`}\n${play.pokeAround()}\n`,
    );
    if (keep) {
      const { address } = await invitation(play.owners);
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
    await play.close();
    process.stdout.write('cleaned up\n');
  }
}

process.exitCode = await main(process.argv.slice(2));
