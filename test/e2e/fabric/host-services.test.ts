import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  ANSWERED_MS,
  admit,
  inSoftware,
  must,
  openBatch,
  softwareIdentity,
  startListener,
  UNANSWERED_MS,
} from '../batch.ts';
import { addOutside, OUTSIDE, TOWARDS_OUTSIDE } from '../outside.ts';
import { eventually, type Running, runIn } from '../process.ts';
import { type Device, ping, type World } from '../world.ts';

const OWN = 'fd00:e4f:1::1';
/** Another address of the fabric's host. */
const OTHER = 'fd77::1';
const TABLE = 'enf_fabric_enf-fabric0';

/** Says whom it hears, over TCP and UDP, and answers. */
const LISTENER = `for (const port of [7001, 7002, 7003]) {
  require('node:net').createServer((from) => { console.log('tcp ' + from.remoteAddress); from.end('hello'); }).listen(port, '::');
  const socket = require('node:dgram').createSocket('udp6').bind(port, '::');
  socket.on('message', (text, from) => { console.log(text + ' ' + from.address); socket.send(Buffer.alloc(Number(text) || 5), from.port, from.address); });
} console.log('listening');`;
const TCP = `const [ms, address, port] = process.argv.slice(1);
  const socket = require('node:net').connect({ host: address, port: Number(port) });
  socket.on('data', () => process.exit(0)).on('error', () => process.exit(1));
  setTimeout(() => process.exit(2), Number(ms));`;
const UDP = `const [ms, address, port, text, own] = process.argv.slice(1);
  const socket = require('node:dgram').createSocket('udp6');
  socket.on('message', (answer) => process.exit(answer.length === (Number(text) || 5) ? 0 : 1)).on('error', () => process.exit(1));
  const ask = () => socket.send(text, Number(port), address);
  socket.bind(0, own || undefined, () => { ask(); setInterval(ask, 200); });
  setTimeout(() => process.exit(2), Number(ms));`;

describe('the host of a fabric', () => {
  let world: World;
  let [device, other]: Device[] = [];
  let [address, otherAddress] = ['', ''];
  let outside: string;
  let heard: Record<'fabric' | 'outside' | 'device', Running>;
  const inHost = (...command: string[]) => must(runIn(world.network.fabric, command));
  const node = async (namespace: string, code: string, ...args: string[]): Promise<boolean> =>
    (await runIn(namespace, [process.execPath, '-e', code, ...args])).code === 0;
  const asking = (ms: number) => ({
    tcp: (from: string, to: string, port: number) => node(from, TCP, String(ms), to, String(port)),
    udp: (from: string, to: string, port: number, text = 'hello', own = '') =>
      node(from, UDP, String(ms), to, String(port), text, own),
  });
  const { tcp, udp } = asking(ANSWERED_MS);
  const briefly = asking(UNANSWERED_MS);
  const tables = async (): Promise<string> => inHost('nft', 'list', 'tables');

  /** Serves anew; the agents, too, start anew, since they wait longer after each loss. */
  const serve = async (...options: string[]): Promise<void> => {
    await world.fabric.stop();
    await world.fabric.serve(...options);
    for (const each of [device!, other!]) {
      await each.stop();
      each.start();
      await each.until('online');
    }
    await eventually(
      'both',
      async () =>
        (await ping(world.network.fabric, address)) && (await ping(world.network.fabric, otherAddress)),
    );
  };
  const listen = (namespace: string): Promise<Running> => startListener(world, namespace, LISTENER);

  beforeAll(async () => {
    const batch = await openBatch('hosts');
    world = batch.world;
    await admit(world, batch.label);
    const { fabric } = world.network;
    outside = await addOutside(fabric);
    await inHost('ip', 'addr', 'add', `${OTHER}/128`, 'dev', 'lo');
    const devices = [];
    for (const n of [1, 2]) {
      const each = await inSoftware(world, batch.group, n);
      each.configure({
        identity: softwareIdentity(world, n),
        route: { prefixes: ['fd00:e4f::/32', 'fd77::/16'] },
      });
      each.start();
      devices.push(each);
    }
    [device, other] = devices;
    address = (await device!.until('online')).address!;
    otherAddress = (await other!.until('online')).address!;
    await eventually('an answer', () => ping(fabric, address));
    heard = {
      fabric: await listen(fabric),
      outside: await listen(outside),
      device: await listen(device!.namespace),
    };
  });
  afterAll(async () => {
    for (const each of Object.values(heard ?? {})) await each.stop('SIGKILL');
    await world?.close();
    if (outside !== undefined) execFileSync('ip', ['netns', 'del', outside]);
  });

  test('[H-A4] is closed to devices on each of its addresses, and answers their pings', async () => {
    for (const to of [OWN, OTHER, TOWARDS_OUTSIDE]) {
      expect(await briefly.tcp(device!.namespace, to, 7001)).toBe(false);
      expect(await briefly.udp(device!.namespace, to, 7001)).toBe(false);
      expect(await ping(device!.namespace, to)).toBeGreaterThan(0);
      expect(await tcp(world.network.fabric, to, 7001)).toBe(true);
    }
    expect(heard.fabric.output()).not.toContain(address);
  });

  test('[H-A4] reaches devices itself, also where their answers come in fragments', async () => {
    const { fabric } = world.network;
    expect(await tcp(fabric, address, 7001)).toBe(true);
    expect(await udp(fabric, address, 7001)).toBe(true);
    expect(await udp(fabric, address, 7001, '4000')).toBe(true);
  });

  test('[H-A4] gives devices what it offers, and nothing else', async () => {
    await serve('--host-services', 'tcp/7001,udp/7002', '--host-services', 'tcp/6999-7000');
    for (const to of [OWN, OTHER]) {
      expect(await tcp(device!.namespace, to, 7001)).toBe(true);
      expect(await udp(device!.namespace, to, 7002)).toBe(true);
      expect(await briefly.tcp(device!.namespace, to, 7002)).toBe(false);
      expect(await briefly.udp(device!.namespace, to, 7001)).toBe(false);
      expect(await briefly.tcp(device!.namespace, to, 7003)).toBe(false);
    }
  });

  test('[H-A4] does not give them a service that it passes on, unless that is offered', async () => {
    await inHost('nft', 'add table ip6 published { chain c { type nat hook prerouting priority dstnat; }; }');
    await inHost('nft', `add rule ip6 published c tcp dport 7009 dnat to [${OUTSIDE}]:7001`);
    try {
      await serve();
      expect(await briefly.tcp(device!.namespace, OWN, 7009)).toBe(false);
      expect(await tcp(device!.namespace, OUTSIDE, 7001)).toBe(true);
      await serve('--host-services', 'tcp/7009');
      expect(await tcp(device!.namespace, OWN, 7009)).toBe(true);
    } finally {
      await inHost('nft', 'delete table ip6 published');
    }
  });

  test('[H-A4] opens everything if told to', async () => {
    await serve('--host-services', 'all');
    expect(await tcp(device!.namespace, OWN, 7003)).toBe(true);
    expect(await udp(device!.namespace, OTHER, 7003)).toBe(true);
  });

  test('[H-A4] restores what another program has changed, and removes it at the end', async () => {
    await serve();
    const before = await inHost('nft', 'list', 'table', 'inet', TABLE);
    for (const change of [
      ['delete', 'table', 'inet', TABLE],
      ['flush', 'ruleset'],
      ['flush', 'chain', 'inet', TABLE, 'input'],
      ['insert', 'rule', 'inet', TABLE, 'offered', 'accept'],
    ]) {
      await inHost('nft', ...change);
      await eventually(`what "${change.join(' ')}" has changed`, async () =>
        (await tables()).includes(TABLE) && (await inHost('nft', 'list', 'table', 'inet', TABLE)) === before
          ? true
          : undefined,
      );
    }
    expect(await briefly.tcp(device!.namespace, OWN, 7001)).toBe(false);
    const log = await inHost('cat', join(world.folder, 'fabric.log'));
    expect(log).toContain(`table inet ${TABLE} was changed by another program, and is restored`);
    await world.fabric.stop();
    expect(await tables()).not.toContain(TABLE);
  });

  test('[H-A5] passes nothing on to devices from who pretends to be one, or to be the host', async () => {
    await serve();
    const forged = [otherAddress, OWN, 'fd00:e4f:1::2'];
    for (const each of forged) {
      await must(runIn(outside, ['ip', 'addr', 'add', `${each}/128`, 'dev', 'lo', 'nodad']));
    }
    for (const [i, each] of forged.entries()) {
      expect(await briefly.udp(outside, address, 7001, `forged${i}`, each)).toBe(false);
      if (each !== OWN) expect(await briefly.udp(outside, OTHER, 7001, `forged${i}`, each)).toBe(false);
    }
    expect(await udp(outside, address, 7001, 'honest', OUTSIDE)).toBe(true);
    expect(await tcp(outside, address, 7001)).toBe(true);
    expect(heard.device.output()).toContain(`honest ${OUTSIDE}`);
    expect(heard.device.output()).not.toContain('forged');
    expect(heard.fabric.output()).not.toContain('forged');
  });
});
