import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { admit, inSoftware, must, openBatch, softwareIdentity } from '../batch.ts';
import { eventually, runIn } from '../process.ts';
import { type Device, ping, type World } from '../world.ts';

const SERVER = 'fd00:e4f:1::1';
const NETWORK = 'fd00:e4f:1::/64';
const FLOOD = `const [address] = process.argv.slice(1);
  const socket = require('node:dgram').createSocket('udp6');
  let answers = 0, asked = 0;
  const query = Buffer.from('12340100000100000000000004' + Buffer.from('pump').toString('hex') + '05' + Buffer.from('plant').toString('hex') + '08' + Buffer.from('internal').toString('hex') + '00001c0001', 'hex');
  socket.on('message', () => answers++);
  const timer = setInterval(() => { for (let i = 0; i < 50 && asked < 1000; i++, asked++) socket.send(query, 53, address); if (asked === 1000) { clearInterval(timer); setTimeout(() => { console.log(answers); process.exit(0); }, 500); } }, 2);`;

describe('names of devices in DNS', () => {
  let world: World;
  let device: Device;
  let address: string;
  const dig = async (...words: string[]): Promise<string> =>
    must(runIn(device.namespace, ['dig', '+time=1', '+tries=2', `@${SERVER}`, ...words]));
  const answerTo = (...words: string[]): Promise<string> =>
    dig('+short', ...words).then((text) => text.trim());

  const run = (...words: string[]): Promise<string> => must(world.fabric.run(...words));

  beforeAll(async () => {
    const batch = await openBatch('names');
    world = batch.world;
    await admit(world, batch.label);
    device = await inSoftware(world, batch.group, 1);
    device.configure({
      identity: softwareIdentity(world, 1),
      route: { prefixes: ['fd00:e4f::/32'] },
    });
    device.start();
    address = (await device.until('online')).address!;
    await run('device', 'name', address, 'pump');
  });
  afterAll(() => world?.close());

  test('are not answered unless the host serves them', async () => {
    await run('network', 'zone', NETWORK, 'plant.internal');
    await expect(dig('+short', '-6', 'pump.plant.internal', 'AAAA')).rejects.toThrow();
  });

  test('are answered once it does, by name and by address, over UDP and TCP', async () => {
    await world.fabric.stop();
    await world.fabric.serve('--dns');
    await device.stop();
    device.start();
    await device.until('online');
    await eventually('an answer', () => ping(world.network.fabric, address));
    await eventually('the name server', async () =>
      (await answerTo('pump.plant.internal', 'AAAA').catch(() => '')) === address ? true : undefined,
    );
    expect(await answerTo('PUMP.plant.internal', 'AAAA', '+tcp')).toBe(address);
    expect(await answerTo('-x', address)).toBe('pump.plant.internal.');
    expect(await answerTo('-x', SERVER)).toBe('ns.plant.internal.');
    expect(await answerTo('plant.internal', 'NS')).toBe('ns.plant.internal.');
    expect(await dig('fan.plant.internal', 'AAAA')).toMatch(/status: NXDOMAIN[\s\S]*\sSOA\s/);
    expect(await dig('pump.plant.internal', 'A')).toMatch(/status: NOERROR[\s\S]*ANSWER: 0, AUTHORITY: 1/);
    expect(await dig('example.org', 'A')).toMatch(/status: REFUSED/);
    const resolved = await must(
      runIn(device.namespace, ['delv', `@${SERVER}`, '-i', 'pump.plant.internal', 'AAAA']),
    );
    expect(resolved).toContain(address);
  });

  test('are not handed over as a whole', async () => {
    expect(await dig('plant.internal', 'AXFR').catch(String)).toContain('Transfer failed');
  });

  test('are followed as they change', async () => {
    await run('device', 'name', address, 'fan');
    expect(await answerTo('fan.plant.internal', 'AAAA')).toBe(address);
    expect(await dig('pump.plant.internal', 'AAAA')).toContain('NXDOMAIN');
    await run('network', 'zone', NETWORK, 'north.plant.internal');
    await eventually('the other zone', async () =>
      (await answerTo('fan.north.plant.internal', 'AAAA').catch(() => '')) === address ? true : undefined,
    );
    await run('network', 'zone', NETWORK, 'plant.internal');
    await run('device', 'name', address, 'pump');
    await eventually('the former zone', async () =>
      (await answerTo('pump.plant.internal', 'AAAA').catch(() => '')) === address ? true : undefined,
    );
  });

  test('are answered again after the process that answers has ended', async () => {
    const [pid] = (await must(runIn(world.network.fabric, ['pgrep', '-f', `name-process`])))
      .trim()
      .split('\n');
    process.kill(Number(pid), 'SIGKILL');
    await eventually('another process', async () =>
      (await answerTo('pump.plant.internal', 'AAAA').catch(() => '')) === address ? true : undefined,
    );
    expect(await ping(world.network.fabric, address)).toBeGreaterThan(0);
  });

  test('are answered no more often than one device may ask', async () => {
    const answers = Number(await must(runIn(device.namespace, [process.execPath, '-e', FLOOD, SERVER])));
    expect(answers).toBeGreaterThanOrEqual(100);
    expect(answers).toBeLessThan(400);
  });

  test('come as a zone file', async () => {
    const file = await run('network', 'names', NETWORK);
    expect(file).toContain('$ORIGIN plant.internal.\n');
    expect(file).toContain(`pump IN AAAA ${address}\n`);
    await expect(run('network', 'zone', NETWORK, 'no domain')).rejects.toThrow(
      /dns.bad-zone|no domain for names/,
    );
    await run('network', 'zone', NETWORK, 'none');
    await expect(run('network', 'names', NETWORK)).rejects.toThrow(/no domain for names/);
  });
});
