import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { packaged } from '../../packaging/place.ts';
import { admit, openBatch, personalised } from '../batch.ts';
import { eventually, type Running } from '../process.ts';
import { type Device, ping, type World } from '../world.ts';

/** 60 MB with Debian's Node 20. Most of it is Node's own program, read-only and shared; of later ones more of it is touched, up to 8 MB. */
const MOST_BYTES = process.versions.node.startsWith('20.') ? 60e6 : 69e6;
/** What is the agent's alone. */
const MOST_OWN_BYTES = 20e6;

/** The service as systemd would start it: Node's options and the environment of the unit. */
function asService(): { node: readonly string[]; environment: Record<string, string> } {
  const unit = packaged('agent/systemd/enf-agent.service');
  const options = /^ExecStart=\/usr\/bin\/node (.*) \/usr\/lib/m.exec(unit)![1]!;
  const environment = [...unit.matchAll(/^Environment=(\w+)=(\d+)$/gm)].map(([, name, value]) => [
    name!,
    value!,
  ]);
  return { node: options.split(' '), environment: Object.fromEntries(environment) };
}

/** Bytes, from /proc/PID/status. */
function memory({ pid }: Running): { resident: number; own: number } {
  const text = readFileSync(`/proc/${pid}/status`, 'latin1');
  const field = (name: string): number =>
    Number(new RegExp(`^${name}:\\s+(\\d+) kB$`, 'm').exec(text)![1]) * 1024;
  return { resident: field('VmRSS'), own: field('RssAnon') };
}

describe('[C-32] the memory of the service', () => {
  let world: World;
  let device: Device;

  beforeAll(async () => {
    const batch = await openBatch('mem');
    world = batch.world;
    await admit(world, batch.label);
    device = await personalised(world, batch.group, 1);
  });
  afterAll(() => world?.close());

  const standing = async (): Promise<Running> => {
    const running = device.start(asService());
    const { address } = await device.until('online');
    await eventually('an answer', () => ping(world.network.fabric, address!));
    return running;
  };

  test('right after provisioning, and with an existing identity', async () => {
    for (const when of ['provisioned', 'started again']) {
      const { resident, own } = memory(await standing());
      expect([when, resident <= MOST_BYTES, resident]).toEqual([when, true, resident]);
      expect([when, own <= MOST_OWN_BYTES, own]).toEqual([when, true, own]);
      await device.stop();
    }
  });
});
