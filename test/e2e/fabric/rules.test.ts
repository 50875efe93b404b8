import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { afterAll, test as anyTest, beforeAll, describe, expect } from 'vitest';
import {
  ANSWERED_MS,
  admit,
  NETWORK,
  openBatch,
  startListener,
  twoOnline,
  UNANSWERED_MS,
  WIRES,
} from '../batch.ts';
import { addOutside, OUTSIDE } from '../outside.ts';
import { eventually, type Running, runIn, startIn } from '../process.ts';
import { type Device, ping, type World } from '../world.ts';

const HOST = 'fd00:e4f:1::1';

/** Answers over TCP and UDP. */
const LISTENER = `for (const port of [7001, 7002]) {
  require('node:net').createServer((from) => from.pipe(from)).listen(port, '::');
  const socket = require('node:dgram').createSocket('udp6').bind(port, '::');
  socket.on('message', (text, from) => socket.send(text, from.port, from.address));
} console.log('listening');`;
const TCP = `const [ms, address, port] = process.argv.slice(1);
  const socket = require('node:net').connect({ host: address, port: Number(port) });
  socket.on('data', () => process.exit(0)).on('error', () => process.exit(1)).write('hello');
  setTimeout(() => process.exit(2), Number(ms));`;
const UDP = `const [ms, address, port] = process.argv.slice(1);
  const socket = require('node:dgram').createSocket('udp6');
  socket.on('message', () => process.exit(0)).on('error', () => process.exit(1));
  const ask = () => socket.send('hello', Number(port), address);
  ask();
  setInterval(ask, 200);
  setTimeout(() => process.exit(2), Number(ms));`;
/** A connection that stays: says a line for each answer, and asks again every 100 ms. */
const TALKER = `const [address, port] = process.argv.slice(1);
  const socket = require('node:net').connect({ host: address, port: Number(port) });
  socket.on('data', () => console.log('answer')).on('error', () => process.exit(1));
  setInterval(() => socket.write('hello'), 100);`;
/** Sends so many bytes over TCP, in both directions at once: super-frames, where the wire has them. */
const BULK = `const [address, port, bytes] = process.argv.slice(1);
  const socket = require('node:net').connect({ host: address, port: Number(port) });
  let got = 0;
  socket.on('data', (chunk) => { if ((got += chunk.length) === Number(bytes)) process.exit(0); }).on('error', () => process.exit(1));
  socket.write(Buffer.alloc(Number(bytes)));
  setTimeout(() => process.exit(2), 20000);`;

/** In order on each wire; the wires at once: most of this is waiting. */
const test = anyTest.sequential;

describe.concurrent.each(WIRES)('rules between devices on the wire %s', (wire, spoken) => {
  let world: World;
  let [one, other]: Device[] = [];
  let [address, otherAddress] = ['', ''];
  let outside: string;
  const listeners: Running[] = [];
  const node = async (namespace: string, code: string, ...args: string[]): Promise<boolean> =>
    (await runIn(namespace, [process.execPath, '-e', code, ...args])).code === 0;
  const asking = (ms: number) => ({
    tcp: (from: string, to: string, port: number) => node(from, TCP, String(ms), to, String(port)),
    udp: (from: string, to: string, port: number) => node(from, UDP, String(ms), to, String(port)),
  });
  const { tcp, udp } = asking(ANSWERED_MS);
  const briefly = asking(UNANSWERED_MS);
  const rule = async (...words: string[]): Promise<number> =>
    (await world.fabric.json<{ id: number }>('rule', 'add', NETWORK, ...words)).id;
  const clear = async (): Promise<void> => {
    const rules = await world.fabric.json<{ id: number }[]>('rule', 'list', NETWORK);
    for (const { id } of rules) await world.fabric.json('rule', 'remove', String(id));
  };

  beforeAll(async () => {
    const batch = await openBatch(`rules-${wire}`, ['--host-services', 'all']);
    world = batch.world;
    await admit(world, batch.label);
    const { fabric } = world.network;
    outside = await addOutside(fabric);
    const more = { route: { prefixes: ['fd00:e4f::/32', 'fd77::/16'] } };
    const online = await twoOnline(world, batch.group, wire, more);
    expect(online.spoken).toBe(spoken);
    [one, other] = online.devices;
    [address, otherAddress] = online.addresses;
    for (const to of [address, otherAddress]) await eventually('an answer', () => ping(fabric, to));
    for (const namespace of [fabric, outside, one.namespace, other.namespace])
      listeners.push(await startListener(world, namespace, LISTENER));
  });
  afterAll(async () => {
    for (const each of listeners) await each.stop('SIGKILL');
    await world?.close();
    if (outside !== undefined) execFileSync('ip', ['netns', 'del', outside]);
  });

  test('one device reaches another as far as the rules of its network say, and gets its answers', async () => {
    expect(await tcp(one!.namespace, otherAddress, 7001)).toBe(true);
    await rule('allow', 'in', '--devices', `device:${otherAddress}`, '--traffic', 'tcp/7001');
    await rule('deny', 'in', '--devices', `device:${otherAddress}`);
    expect(await tcp(one!.namespace, otherAddress, 7001)).toBe(true);
    expect(await briefly.tcp(one!.namespace, otherAddress, 7002)).toBe(false);
    expect(await briefly.udp(one!.namespace, otherAddress, 7001)).toBe(false);
    expect(await ping(one!.namespace, otherAddress)).toBeUndefined();
    // What the device itself begins is answered.
    expect(await tcp(other!.namespace, address, 7002)).toBe(true);
    expect(await udp(other!.namespace, address, 7002)).toBe(true);
    expect(await ping(other!.namespace, address)).toBeGreaterThan(0);
    expect(await node(other!.namespace, BULK, address, '7001', '3000000')).toBe(true);
    const rules = await world.fabric.json<{ counted: { packets: number } }[]>('rule', 'list', NETWORK);
    for (const { counted } of rules) expect(counted.packets).toBeGreaterThan(0);
    await clear();
    expect(await tcp(one!.namespace, otherAddress, 7002)).toBe(true);
  });

  test('the host and what is outside are two', async () => {
    await rule('deny', 'in', '--with', 'outside');
    await rule('deny', 'out', '--with', 'host', '--traffic', 'tcp');
    expect(await briefly.tcp(outside, address, 7001)).toBe(false);
    expect(await tcp(world.network.fabric, address, 7001)).toBe(true);
    expect(await tcp(one!.namespace, OUTSIDE, 7001)).toBe(true);
    expect(await udp(one!.namespace, OUTSIDE, 7001)).toBe(true);
    expect(await briefly.tcp(one!.namespace, HOST, 7001)).toBe(false);
    expect(await udp(one!.namespace, HOST, 7001)).toBe(true);
    await clear();
    expect(await tcp(outside, address, 7001)).toBe(true);
    expect(await tcp(one!.namespace, HOST, 7001)).toBe(true);
  });

  test('a connection ends with the command that refuses it, and another one goes on', async () => {
    const talk = (port: number): Running =>
      startIn(
        one!.namespace,
        [process.execPath, '-e', TALKER, otherAddress, String(port)],
        join(world.folder, 'talker.log'),
      );
    const talkers = [talk(7001), talk(7002)];
    const heard = (which: number): number => talkers[which]!.output().split('\n').length;
    await rule('allow', 'in', '--traffic', 'tcp/7001');
    const more = async (which: number): Promise<void> => {
      const before = heard(which);
      await eventually('an answer', async () => (heard(which) > before + 1 ? true : undefined));
    };
    await more(0);
    await more(1);
    await rule('deny', 'in', '--traffic', 'tcp/7001', '--place', '1');
    // What was on its way to the listener when the command returned is there before answers to what the other asks later.
    await more(1);
    await more(1);
    const last = heard(0);
    await more(1);
    await more(1);
    expect(heard(0)).toBe(last);
    for (const each of talkers) await each.stop('SIGKILL');
    await clear();
  });
});
