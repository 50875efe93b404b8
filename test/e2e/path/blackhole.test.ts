import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { admit, inSoftware, must, openBatch } from '../batch.ts';
import { eventually, runIn } from '../process.ts';
import { type Device, ping, type World } from '../world.ts';

const HOST_ADDRESS = 'fd00:e4f:1::1';
const BYTES = 10_000_000;
const RECEIVE = `require('node:net').createServer((from) => {
  let bytes = 0;
  from.on('data', (chunk) => { bytes += chunk.length; }).on('end', () => { console.log(bytes); process.exit(); });
}).listen(7000, '::');`;
const SEND = `const to = require('node:net').connect(7000, process.argv[1], () => to.end(Buffer.alloc(${BYTES})));`;

/** A path that swallows packets of more than 1300 bytes, both ways, and tells nobody: its ICMP is filtered. */
describe('[C-12] a path that drops full-sized packets', () => {
  let world: World;
  let device: Device;
  let address: string;

  beforeAll(async () => {
    const batch = await openBatch('hole', ['--host-services', 'tcp/7000']);
    world = batch.world;
    await admit(world, batch.label);
    device = await inSoftware(world, batch.group, 1);
    device.configure({
      tunnel: { 'heartbeat-period': '1s', 'heartbeat-timeout': '1s' },
      identity: { mode: 'software', 'credential-dir': `${world.folder}/credential1` },
    });
    const { fabric } = world.network;
    for (const [namespace, port] of [
      [device.namespace, 'uplink'],
      [fabric, 'port1'],
    ] as const) {
      const chain = `{ type filter hook ingress device ${port} priority 0; }`;
      for (const rule of [
        ['table', 'netdev', 'hole'],
        ['chain', 'netdev', 'hole', 'in', chain],
        ['rule', 'netdev', 'hole', 'in', 'ip', 'length', '>', '1300', 'drop'],
      ]) {
        await must(runIn(namespace, ['nft', 'add', ...rule]));
      }
    }
    // A wire has no packets larger than its frames; what a kernel would cut for it only at the last moment has to be cut before.
    for (const [namespace, name] of [
      [device.namespace, 'uplink'],
      [fabric, 'port1'],
      [fabric, 'bridge0'],
    ] as const) {
      await must(runIn(namespace, ['ip', 'link', 'set', name, 'gso_max_segs', '1']));
    }
    device.start();
    address = (await device.until('online')).address!;
    await eventually('an answer', () => ping(fabric, address));
  });
  afterAll(() => world?.close());

  /** The bytes that arrive. */
  const transfer = async (from: string, to: string, at: string): Promise<number> => {
    const received = runIn(to, [process.execPath, '-e', RECEIVE], 120_000);
    await eventually('the receiver', async () =>
      (await runIn(to, ['ss', '-Hltn', 'sport', '=', ':7000'])).stdout === '' ? undefined : true,
    );
    const [{ stdout }] = await Promise.all([
      received,
      runIn(from, [process.execPath, '-e', SEND, at], 120_000),
    ]);
    return Number(stdout);
  };

  test('full packets are lost on it, small ones are not', async () => {
    const outer = async (size: string): Promise<number> =>
      (await runIn(device.namespace, ['ping', '-n', '-c', '1', '-W', '1', '-s', size, '10.77.0.1'])).code;
    expect(await outer('1400')).not.toBe(0);
    expect(await outer('1200')).toBe(0);
  });

  test('ten megabytes get through it, up and down', async () => {
    expect(await transfer(device.namespace, world.network.fabric, HOST_ADDRESS)).toBe(BYTES);
    expect(await transfer(world.network.fabric, device.namespace, address)).toBe(BYTES);
  });
});
