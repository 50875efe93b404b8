import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { admit, NETWORK, openBatch, startListener, twoOnline, WIRES } from '../batch.ts';
import { eventually, type Running, runIn } from '../process.ts';
import { type Device, ping, type World } from '../world.ts';

/** Takes what comes on each connection, and says how many bytes that were at its end. */
const LISTENER = `require('node:net').createServer({ allowHalfOpen: true }, (from) => {
  let got = 0;
  from.on('data', (chunk) => (got += chunk.length)).on('end', () => from.end(String(got)));
}).listen(7001, '::', () => console.log('listening'));`;
/** Sends so many bytes over TCP; prints how many have arrived, and after how many milliseconds that was known. */
const SENDER = `const [address, bytes] = process.argv.slice(1);
  const began = performance.now();
  const socket = require('node:net').connect({ host: address, port: 7001, allowHalfOpen: true });
  socket.on('data', (text) => { console.log(text + ' ' + (performance.now() - began)); process.exit(0); }).on('error', () => process.exit(1));
  socket.end(Buffer.alloc(Number(bytes)));
  setTimeout(() => process.exit(2), 60000);`;

/** Sends a thousand packets at once. */
const FLOOD = `const socket = require('node:dgram').createSocket('udp6');
  let left = 1000;
  for (let i = 0; i < 1000; i++) socket.send('x', 7, process.argv[1], () => --left || socket.close());`;

const RATE = 1_000_000;
/** What a full bucket has, and a debt that a burst in one frame may leave. */
const AHEAD = RATE / 4 + 70_000;

describe.each(WIRES)('a rate limit on the wire %s', (wire, spoken) => {
  let world: World;
  let [one, other]: Device[] = [];
  let [address, otherAddress] = ['', ''];
  let listener: Running;

  beforeAll(async () => {
    const batch = await openBatch('rates');
    world = batch.world;
    await admit(world, batch.label);
    const online = await twoOnline(world, batch.group, wire);
    expect(online.spoken).toBe(spoken);
    [one, other] = online.devices;
    [address, otherAddress] = online.addresses;
    for (const to of [address, otherAddress])
      await eventually('an answer', () => ping(world.network.fabric, to));
    listener = await startListener(world, other.namespace, LISTENER);
  });
  afterAll(async () => {
    await listener?.stop('SIGKILL');
    await world?.close();
  });

  /** Sends so many bytes from one device to the other; milliseconds that took. */
  async function send(bytes: number): Promise<number> {
    const { code, stdout } = await runIn(one!.namespace, [
      ...[process.execPath, '-e', SENDER, otherAddress, String(bytes)],
    ]);
    const [got, ms] = stdout.trim().split(' ').map(Number);
    expect([code, got]).toEqual([0, bytes]);
    return ms!;
  }
  const dropped = async (of: string): Promise<number> =>
    (await world.fabric.json<{ limits: { dropped: number } }>('device', 'show', of)).limits.dropped;

  test.each(['out', 'in'])('lets TCP through as fast as it says (%s), and no faster', async (direction) => {
    const limited = direction === 'out' ? address : otherAddress;
    const whose = ['--device', limited, '--direction', direction];
    await world.fabric.json('limit', 'set', NETWORK, ...whose, '--bytes', '1M');
    const before = await dropped(limited);
    const bytes = 3_000_000;
    // Whatever the machine does: so many bytes cannot have passed any sooner.
    expect(await send(bytes)).toBeGreaterThanOrEqual(((bytes - AHEAD) / RATE) * 1_000);
    expect(await dropped(limited)).toBeGreaterThan(before);
    expect(await ping(other!.namespace, address)).toBeGreaterThan(0);
    const limits = await world.fabric.json<object[]>('limit', 'list', NETWORK);
    expect(limits).toHaveLength(1);
    await world.fabric.json('limit', 'remove', NETWORK, '--device', limited);
    const after = await dropped(limited);
    await send(bytes);
    expect(await dropped(limited)).toBe(after);
  });

  test('holds after a restart of the fabric', async () => {
    await world.fabric.json('limit', 'set', NETWORK, '--packets', '1', '--direction', 'out');
    await world.fabric.stop();
    await world.fabric.serve();
    await eventually('the tunnel', async () => {
      const { online } = await world.fabric.json<{ online: boolean }>('device', 'show', address);
      return online || undefined;
    });
    const { code } = await runIn(one!.namespace, [process.execPath, '-e', FLOOD, otherAddress]);
    expect(code).toBe(0);
    await eventually('drops', async () => ((await dropped(address)) > 100 ? true : undefined));
  });
});
