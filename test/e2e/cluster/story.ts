import { join } from 'node:path';
import { must, NETWORK, personalised } from '../batch.ts';
import { step } from '../narration.ts';
import { eventually, startIn } from '../process.ts';
import { type Device, ping } from '../world.ts';
import { type Cluster, LINK, type Node } from './cluster.ts';

/** What the demo of several nodes tells. Each step does the real thing, and fails if it did not happen. */

interface Placed {
  readonly device: Device;
  readonly address: string;
}

/** Seconds between two pings while a node is killed. */
const INTERVAL = 0.1;
const LONG_MS = 60_000;

export async function playCluster(cluster: Cluster): Promise<void> {
  const { nodes } = cluster;
  const [a, b, c] = nodes as [Node, Node, Node];
  await step('node a: keys; its registry to PostgreSQL', async () => {
    await cluster.found();
    return [undefined, 'one database for all nodes'];
  });
  await step('nodes a, b, c: the same keys, BIRD, and serve', async () => {
    cluster.share();
    for (const node of nodes) await node.serve();
    for (const node of nodes) await sessions(node, nodes.length - 1);
    return [undefined, 'three hosts, and a BGP session between any two'];
  });
  const placed = await admitted(cluster);
  const [first, second, third] = placed as [Placed, Placed, Placed];
  await step('ping: the host of each node → each device', async () => {
    for (const { address } of placed) for (const node of nodes) await node.reaches(address);
    return [
      undefined,
      `${nodes.length * placed.length} ways, of which BIRD carries ${(nodes.length - 1) * placed.length}`,
    ];
  });
  await step('ping: device 1 → device 3', async () => {
    const time = await eventually('an answer', () => ping(first.device.namespace, third.address));
    return [undefined, `${time} ms, from node a to node c`];
  });
  await step('node b: which nodes there are', async () => {
    const all = await eventually('all nodes to have told their tunnels', async () => {
      const seen = await cluster.states('b');
      return seen.every(({ tunnels }) => tunnels === 1) ? seen : undefined;
    });
    return [
      undefined,
      all.map(({ name, state, tunnels }) => `${name} ${state}, ${tunnels} tunnel`).join('; '),
    ];
  });
  await step('node a: ban device 3, whose tunnel node c has', async () => {
    await must(a.fabric.run('device', 'ban', third.address));
    await third.device.until('blocked', LONG_MS);
    return [undefined, 'cut at node c; the others go on'];
  });
  await step('node a: drain node b, as before an upgrade', async () => {
    await must(a.fabric.run('node', 'drain', b.name));
    const to = await cluster.moved(second.address, b.name, a.name);
    await c.reaches(second.address);
    await must(a.fabric.run('node', 'resume', b.name));
    return [undefined, `device 2 has gone to node ${to}`];
  });
  await step('node c: the audit trail', async () => {
    const said = await must(c.fabric.run('audit', '--limit', '1'));
    const verified = said.match(/\d+ entr\w+, unbroken/)?.[0];
    if (verified === undefined) throw new Error(said);
    return [undefined, `what all nodes have done: ${verified}`];
  });
  await killed(cluster, first, a, c);
}

/** Waits until the node has that many sessions with others. */
const sessions = (node: Node, number: number): Promise<true> =>
  eventually(`node ${node.name} to have its sessions`, async () => {
    const established = (await node.birdc('show', 'protocols')).match(/Established/g) ?? [];
    return established.length === number || undefined;
  });

/** A batch of three, whose devices each find another node first. */
async function admitted(cluster: Cluster): Promise<readonly Placed[]> {
  const { world, nodes } = cluster;
  const group = join(world.folder, 'group');
  const devices = await step('factory: a group, and three TPMs of it', async () => {
    const named = ['--name', 'Demo routers', '--basename', 'enf-demo'];
    await must(world.factory(['group', 'create', ...named, '--out', group]));
    const made: Device[] = [];
    for (const n of nodes.keys()) made.push(await personalised(world, group, n + 1));
    return [made, 'keys made in the TPMs'];
  });
  await step('node b: a network, and the batch may enter', async () => {
    const { fabric } = cluster.node('b');
    await must(fabric.run('network', 'add', NETWORK, '--name', 'home'));
    await must(fabric.run('group', 'add', '--label', join(group, 'label.txt'), '--network', NETWORK));
    return [undefined, `${NETWORK}; the other nodes know it, too`];
  });
  const placed: Placed[] = [];
  for (const [i, device] of devices.entries())
    placed.push(
      await step(`device ${device.number}: first boot`, async () => {
        const { name } = nodes[i]!;
        device.configure({
          remote: { hosts: cluster.hosts(name) },
          route: { prefixes: [NETWORK, LINK] },
        });
        device.start();
        const address = (await device.until('online', LONG_MS)).address!;
        const at = await cluster.carrier(address, name);
        if (at !== name) throw new Error(`has its tunnel at node ${at}, and found node ${name} first`);
        return [{ device, address }, `${address} at node ${name}`];
      }),
    );
  return placed;
}

/** Kills the node that has the device, while somebody at another node's host pings it. */
async function killed(cluster: Cluster, { device, address }: Placed, node: Node, from: Node): Promise<void> {
  const before = (await from.fabric.handshakes()).length;
  const pings = startIn(
    from.namespace,
    ['ping', '-6', '-n', '-i', String(INTERVAL), address],
    join(cluster.world.folder, 'ping.log'),
  );
  const answered = (): number[] =>
    [...pings.output().matchAll(/icmp_seq=(\d+) /g)].map((match) => Number(match[1]));
  const more = (): Promise<true> => {
    const already = answered().length;
    const enough = already + 2 / INTERVAL;
    return eventually('pings to be answered', async () => answered().length >= enough || undefined, LONG_MS);
  };
  try {
    await step(`node ${from.name}: ping device ${device.number}, and go on`, async () => {
      await more();
      return [undefined, `each ${INTERVAL} s, by way of node ${node.name}`];
    });
    await step(`node ${node.name}: kill -9`, async () => {
      await node.kill();
      const to = await cluster.moved(address, node.name, from.name);
      await more();
      const again = (await from.fabric.handshakes()).length - before;
      const { address: now } = await device.status();
      if (now !== address || again !== 0) throw new Error(`came back as ${now}, after ${again} handshakes`);
      return [undefined, `device ${device.number} is at node ${to}: same address, no handshake`];
    });
  } finally {
    await pings.stop('SIGINT');
  }
  const numbers = answered();
  const sent = Math.max(...numbers);
  const lost = sent - numbers.length;
  process.stdout.write(
    `\n${lost} of ${sent} pings were lost: for ${(lost * INTERVAL).toFixed(1)} s nobody had the device.\n`,
  );
}
