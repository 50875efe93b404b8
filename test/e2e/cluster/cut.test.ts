import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { ownName } from '../../namespaces.ts';
import { must, NETWORK, personalised } from '../batch.ts';
import { eventually, runIn, startIn } from '../process.ts';
import type { Device } from '../world.ts';
import { type Cluster, createCluster, LINK } from './cluster.ts';

/** Three nodes; the cable of one is pulled, and BIRD of it is killed. Its host goes on, and nothing says so to anybody. The tests are one story. */

let cluster: Cluster;
let group: string;
let told: Device;
let own: Device;
const addresses = new Map<Device, string>();
/** The cable of node b, at the other end. */
const cable = (state: 'up' | 'down'): Promise<string> =>
  must(runIn(cluster.world.network.fabric, ['ip', 'link', 'set', 'port-b', state]));
const carrierOf = (device: Device): Promise<string | null> => cluster.carrier(addresses.get(device)!, 'a');
/** A new device that tries node b first, which takes it. */
async function place(n: number, tunnel: Record<string, unknown>): Promise<Device> {
  const device = await personalised(cluster.world, group, n);
  device.configure({ remote: { hosts: cluster.hosts('b') }, tunnel, route: { prefixes: [NETWORK, LINK] } });
  device.start();
  addresses.set(device, (await device.until('online', 60_000)).address!);
  expect(await carrierOf(device)).toBe('b');
  return device;
}

beforeAll(async () => {
  cluster = await createCluster(ownName('cut'), ['a', 'b', 'c']);
  const { world, nodes } = cluster;
  await cluster.found();
  cluster.share();
  for (const node of nodes) await node.serve();
  group = join(world.folder, 'group');
  await must(world.factory(['group', 'create', '--name', 'Batch', '--basename', 'batch', '--out', group]));
  const { fabric } = nodes[0]!;
  await must(fabric.run('network', 'add', NETWORK));
  await must(fabric.run('group', 'add', '--label', join(group, 'label.txt'), '--network', NETWORK));
  told = await place(1, {});
  own = await place(2, { 'heartbeat-period': '5m', 'heartbeat-timeout': '5m' });
});
afterAll(() => cluster?.close());

test('a device leaves a node that does not answer any more, as the nodes have told it; its address stays', async () => {
  const before = (await cluster.node('a').fabric.handshakes()).length;
  await cable('down');
  expect(await cluster.moved(addresses.get(told)!, 'b', 'a')).toMatch(/^[ac]$/);
  expect((await told.until('online')).address).toBe(addresses.get(told));
  await cluster.node('a').reaches(addresses.get(told)!);
  await cluster.node('c').reaches(addresses.get(told)!);
  expect((await cluster.node('a').fabric.handshakes()).length).toBe(before);
});

test('one whose operator has set its heartbeats has not moved by then, and is reached again when the node is', async () => {
  expect(await carrierOf(own)).toBe('b');
  await cable('up');
  await cluster.node('a').reaches(addresses.get(own)!);
  // The node has lost its routes meanwhile, too: if it has told the device so before they were back, that has moved.
  expect((await own.until('online')).address).toBe(addresses.get(own));
  await eventually('each to be counted where it is', async () => {
    const carriers = [await carrierOf(told), await carrierOf(own)];
    const seen = await cluster.states('a');
    const isSo = seen.every(
      ({ name, state, tunnels }) =>
        state === 'serving' && tunnels === carriers.filter((each) => each === name).length,
    );
    return isSo || undefined;
  });
});

test('devices leave a node whose BIRD is dead, which takes them again when it is back', async () => {
  const stateOf = async (name: string): Promise<string | undefined> =>
    (await cluster.states('a')).find((each) => each.name === name)?.state;
  const until = (state: string): Promise<true> =>
    eventually(`node b to be ${state}`, async () => (await stateOf('b')) === state || undefined, 60_000);
  const { bird, namespace } = cluster.node('b');
  // Those that come go again for some seconds after it has its routes back.
  await eventually('devices to be let stay at node b', async () => {
    const log = readFileSync(join(cluster.world.folder, 'b.log'), 'utf8');
    const told = (words: string): number => log.split(words).length;
    return told('devices are to go to other nodes') === told('devices may stay at this node') || undefined;
  });
  const device = await place(3, {});
  const address = addresses.get(device)!;
  const pid = Number(readFileSync(join(dirname(bird), 'pid'), 'utf8'));
  process.kill(pid, 'SIGKILL');
  await until('routes-lost');
  expect(await cluster.moved(address, 'b', 'a')).toMatch(/^[ac]$/);
  await cluster.node('a').reaches(address);
  await eventually('node b to be the only one whose routes are lost', async () => {
    const seen = await cluster.states('a');
    const isSo = seen.every(({ name, state }) => state === (name === 'b' ? 'routes-lost' : 'serving'));
    return isSo || undefined;
  });
  const command = ['bird', '-f', '-c', join(dirname(bird), 'bird.conf'), '-s', bird];
  const again = startIn(namespace, command, join(cluster.world.folder, 'bird-again.log'));
  try {
    await until('serving');
    for (const other of ['a', 'c']) await must(cluster.node('a').fabric.run('node', 'drain', other));
    await eventually(
      'the device to be back at node b',
      async () => (await carrierOf(device)) === 'b' || undefined,
      90_000,
    );
    await cluster.node('a').reaches(address);
  } finally {
    await again.stop('SIGKILL');
  }
});
