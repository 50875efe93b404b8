import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { ownName } from '../../namespaces.ts';
import { must, NETWORK, personalised } from '../batch.ts';
import { eventually } from '../process.ts';
import { type Device, ping } from '../world.ts';
import { type Cluster, createCluster, LINK } from './cluster.ts';

/** Three nodes, each with BIRD, one PostgreSQL server, and three devices with TPMs. The tests are one story. */

let cluster: Cluster;
let [a, b, c]: Cluster['nodes'] = [];
const devices = new Map<string, { device: Device; address: string }>();
const addressOf = (name: string): string => devices.get(name)!.address;

/** Of all devices, in the order in which they came. */
const handshakes = async (at: string) => {
  const all = await cluster.node(at).fabric.handshakes();
  return all.filter(({ result }) => result === 'ok').map(({ address }) => address);
};
const reachedFrom = async (address: string, ...hosts: readonly string[]): Promise<void> => {
  for (const host of hosts) await cluster.node(host).reaches(address);
};

beforeAll(async () => {
  cluster = await createCluster(ownName('cluster'), ['a', 'b', 'c']);
  const { world, nodes } = cluster;
  [a, b, c] = nodes;
  expect(await cluster.found()).toContain('devices 0;');
  cluster.share();
  for (const node of nodes) await node.serve();
  const group = join(world.folder, 'group');
  await must(world.factory(['group', 'create', '--name', 'Batch', '--basename', 'batch', '--out', group]));
  await must(b!.fabric.run('network', 'add', NETWORK));
  await must(c!.fabric.run('group', 'add', '--label', join(group, 'label.txt'), '--network', NETWORK));
  for (const [i, first] of ['a', 'b', 'c'].entries()) {
    const device = await personalised(world, group, i + 1);
    const remote = { hosts: cluster.hosts(first) };
    device.configure({ remote, route: { prefixes: [NETWORK, LINK] } });
    device.start();
    const { address } = await device.until('online', 60_000);
    devices.set(first, { device, address: address! });
  }
});
afterAll(() => cluster?.close());

test('a device provisions at whichever node it finds, and is reached from the host of every node', async () => {
  for (const [first, { address }] of devices) {
    expect(await cluster.carrier(address, 'a')).toBe(first);
    await reachedFrom(address, 'a', 'b', 'c');
  }
  expect(new Set([...devices.values()].map(({ address }) => address)).size).toBe(3);
});

test('each node knows of all nodes, and how many tunnels they have', async () => {
  for (const { name } of cluster.nodes)
    await eventually(`node ${name} to have heard of all tunnels`, async () => {
      const seen = await cluster.states(name);
      expect(seen.map((each) => [each.name, each.state, each.tunnels])).toEqual([
        ['a', 'serving', 1],
        ['b', 'serving', 1],
        ['c', 'serving', 1],
      ]);
      return true;
    });
});

test('the device of a node that is killed is back at another one: same address, no handshake', async () => {
  const before = await handshakes('a');
  await b!.kill();
  const address = addressOf('b');
  expect(await cluster.moved(address, 'b', 'a')).toMatch(/^[ac]$/);
  await reachedFrom(address, 'a', 'b', 'c');
  expect((await devices.get('b')!.device.until('online')).address).toBe(address);
  expect(await handshakes('c')).toEqual(before);
  for (const other of ['a', 'c']) expect(await cluster.carrier(addressOf(other), 'a')).toBe(other);
});

test('a ban at one node cuts the tunnel at another', async () => {
  const { device, address } = devices.get('c')!;
  await must(a!.fabric.run('device', 'ban', address));
  await device.until('blocked', 60_000);
  await expect.poll(() => cluster.carrier(address, 'a'), { timeout: 60_000 }).toBeNull();
  const answers = cluster.nodes.map(({ namespace }) => ping(namespace, address));
  expect(await Promise.all(answers)).toEqual([undefined, undefined, undefined]);
  await must(c!.fabric.run('device', 'unban', address));
  await device.stop();
  device.start();
  await device.until('online', 60_000);
  await reachedFrom(address, 'a', 'b', 'c');
});

test('devices leave a node that drains', async () => {
  await must(c!.fabric.run('node', 'drain', 'a'));
  for (const [first, { address }] of devices)
    if ((await cluster.carrier(address, 'c')) === 'a')
      expect([first, await cluster.moved(address, 'a', 'c')]).toEqual([first, 'c']);
  for (const { address } of devices.values()) await reachedFrom(address, 'a', 'c');
  await eventually('nobody to be left at a draining node, and the killed one to be lost', async () => {
    const seen = await cluster.states('c');
    expect(seen.map(({ name, state, tunnels }) => [name, state, tunnels])).toEqual([
      ['a', 'draining', 0],
      ['b', 'lost', 1], // what it said last
      ['c', 'serving', 3],
    ]);
    return true;
  });
});

test('the node that was killed joins again; the audit trail is unbroken, and no address was given twice', async () => {
  await b!.serve();
  await must(c!.fabric.run('node', 'resume', 'a'));
  await eventually('all nodes to serve', async () =>
    (await cluster.states('b')).every(({ state }) => state === 'serving') ? true : undefined,
  );
  for (const { fabric } of cluster.nodes) expect(await must(fabric.run('audit'))).toContain('unbroken');
  const listed = await must(b!.fabric.run('device', 'list', '--csv'));
  for (const { address } of devices.values()) expect(listed.split(address)).toHaveLength(2);
  expect(await handshakes('b')).toEqual(['a', 'b', 'c'].map(addressOf));
  for (const { address } of devices.values()) await reachedFrom(address, 'a', 'b', 'c');
});
