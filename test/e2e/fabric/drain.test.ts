import { cpSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { admit, inSoftware, must, openBatch, softwareIdentity } from '../batch.ts';
import { FABRIC_ADDRESS } from '../network.ts';
import { eventually, type Running, runIn, startIn } from '../process.ts';
import { type Device, ping, program, type World } from '../world.ts';

/** The address that each host of the fabric has in the network: whoever the device has its tunnel to answers there. */
const HOST = 'fd00:e4f:1::1';
const OTHER_ADDRESS = '10.77.0.2';
/** Seconds between two pings, and so many are a second. */
const INTERVAL = 0.02;
const A_SECOND = 1 / INTERVAL;

describe('a fabric of two hosts that serve one registry', () => {
  let world: World;
  let device: Device;
  let other: string;
  let data: string;
  let second: Running | undefined;

  const serveSecond = async (): Promise<void> => {
    second = startIn(
      other,
      [...program('fabric'), 'serve', '--data', data],
      join(world.folder, 'second.log'),
    );
    const running = second;
    await eventually('the other host to serve', async () => running.output().includes('\n') || undefined);
  };
  /** Of the host's namespace: what the command says. */
  const drainAt = async (host: 'first' | 'second', within = '10'): Promise<string> => {
    const words = ['drain', '--within', within, '--retry-after', '1'];
    return must(
      host === 'first'
        ? world.fabric.run(...words)
        : runIn(other, [...program('fabric'), ...words, '--data', data]),
    );
  };
  const router = async (): Promise<string | undefined> => (await device.status()).router?.split(' ')[0];
  const at = (address: string): Promise<true> =>
    eventually(`the tunnel to lead to ${address}`, async () => (await router()) === address || undefined);

  beforeAll(async () => {
    const batch = await openBatch('drain');
    ({ world } = batch);
    await admit(world, batch.label);
    device = await inSoftware(world, batch.group, 1);
    const { namespace } = device;
    device.start();
    await device.until('online', 60_000);
    await device.stop();
    await world.fabric.stop();
    data = join(world.folder, 'second');
    cpSync(world.fabric.data, data, { recursive: true });

    other = world.network.addHost('b', OTHER_ADDRESS);
    await world.fabric.serve();
    await serveSecond();
    const folder = join(world.folder, 'credential1');
    device.configure({
      remote: { hosts: [FABRIC_ADDRESS, OTHER_ADDRESS] },
      identity: { mode: 'software', 'credential-dir': folder },
    });
    device.start();
    await device.until('online', 60_000);
    await eventually('a ping to be answered', async () => await ping(namespace, HOST));
  });
  afterAll(async () => {
    await second?.stop('SIGKILL');
    await world?.close();
  });

  test('is upgraded host by host while a ping goes on, of which no second is lost', async () => {
    expect(await router()).toBe(FABRIC_ADDRESS);
    // So few devices may come soon.
    expect((await device.status()).longestPause).toBe(30);
    const pings = startIn(
      device.namespace,
      ['ping', '-6', '-n', '-i', String(INTERVAL), HOST],
      join(world.folder, 'ping.log'),
    );
    expect(await drainAt('first')).toMatch(
      /^drained since .*: 0 agents and 0 C peers have their tunnels here/,
    );
    await at(OTHER_ADDRESS);
    await world.fabric.stop();
    await world.fabric.serve();
    expect(await drainAt('second')).toMatch(/: 0 agents and 0 C peers/);
    await at(FABRIC_ADDRESS);
    await second!.stop();
    second = undefined;
    const answered = (): number[] =>
      [...pings.output().matchAll(/icmp_seq=(\d+) /g)].map((match) => Number(match[1]));
    const before = answered().length;
    await eventually('pings to go on', async () => answered().length > before + A_SECOND || undefined);
    await pings.stop('SIGINT');

    const numbers = [0, ...answered()];
    const lost = numbers.slice(1).map((number, i) => number - numbers[i]! - 1);
    expect(Math.max(...lost)).toBeLessThan(A_SECOND);
    expect((await device.status()).trouble).toBeNull();
  });

  test('lets a device that has no other host come back when it was told to', async () => {
    device.configure({
      remote: { hosts: [FABRIC_ADDRESS] },
      identity: softwareIdentity(world, 1),
    });
    await device.stop();
    device.start();
    await device.until('online', 60_000);
    expect(await drainAt('first', '1')).toMatch(
      /: 1 agent and 0 C peers .* 1 s after the fabric has stopped/,
    );
    await world.fabric.stop();
    // The status may already have the code of the next attempt, which ends as unreachable.
    await expect
      .poll(() => readFileSync(join(world.folder, 'device1.log'), 'utf8'), { timeout: 60_000 })
      .toContain('fabric.drained:');
    await world.fabric.serve();
    await device.until('online', 60_000);
  });
});
