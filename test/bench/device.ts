import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { admit, openBatch, personalised } from '../e2e/batch.ts';
import { eventually, runIn, startIn } from '../e2e/process.ts';
import { type Device, ping, type World } from '../e2e/world.ts';
import { type Memory, memoryOfProcess } from './processes.ts';
import { median } from './statistics.ts';
import { compileTool } from './tunnel/tools.ts';

/** A device with its software TPM and its identity: how soon it is back after a start, and what memory it takes. */

export interface DeviceFigures {
  /** From the start of the process to the first packet answered through the tunnel. */
  readonly cold_start_s: number;
  readonly idle: Memory;
  /** The most, while data flows both ways. */
  readonly loaded: Memory;
}

const HOST_ADDRESS = 'fd00:e4f:1::1';
const PORT = '5001';
const IDLE_MS = 3_000;
const LOAD_S = 4;

/** @param starts how many cold starts the median is of @throws Failure, Error */
export async function measureDevice(starts: number): Promise<DeviceFigures> {
  const { world, group, label } = await openBatch('bnch', ['--host-services', `tcp/${PORT}`]);
  try {
    await admit(world, label);
    const device = await personalised(world, group, 1);
    device.start();
    const address = (await device.until('online')).address!;
    const seconds: number[] = [];
    for (let i = 0; i < starts; i++) {
      await device.stop();
      seconds.push(await coldStart(world, device, address));
    }
    await device.stop();
    const running = device.start();
    await eventually('an answer', () => ping(world.network.fabric, address));
    await pause(IDLE_MS);
    const idle = memoryOfProcess(running.pid);
    const loaded = await underLoad(world, device, address, running.pid);
    return { cold_start_s: median(seconds)!, idle, loaded };
  } finally {
    await world.close();
  }
}

/** A ping that was waiting before the agent started ends with the first answer. */
async function coldStart(world: World, device: Device, address: string): Promise<number> {
  const waiting = ['ping', '-6', '-n', '-q', '-i', '0.02', '-c', '1', '-w', '20', address];
  const answered = runIn(world.network.fabric, waiting);
  await pause(100);
  const at = performance.now();
  device.start();
  if ((await answered).code !== 0) throw new Error('the device did not come back within 20 s');
  return (performance.now() - at) / 1e3;
}

async function underLoad(world: World, device: Device, address: string, pid: number): Promise<Memory> {
  const bulk = await compileTool('bulk', world.folder);
  const { fabric } = world.network;
  const far = runIn(fabric, [bulk, 'receive', PORT, '0', String(LOAD_S)]);
  const near = runIn(device.namespace, [bulk, 'receive', PORT, '0', String(LOAD_S)]);
  const log = join(world.folder, 'bulk.log');
  const seconds = String(LOAD_S + 1);
  const senders = [
    startIn(device.namespace, [bulk, 'send', HOST_ADDRESS, PORT, seconds, 'default'], log),
    startIn(fabric, [bulk, 'send', address, PORT, seconds, 'default'], log),
  ];
  let most: Memory = { rssMb: 0, pssMb: 0 };
  const end = performance.now() + LOAD_S * 1e3;
  while (performance.now() < end) {
    await pause(100);
    const now = memoryOfProcess(pid);
    if (now.rssMb > most.rssMb) most = now;
  }
  const [up, down] = await Promise.all([far, near]);
  await Promise.all(senders.map((sender) => sender.stop('SIGKILL')));
  await rm(log, { force: true });
  if (up.code !== 0 || down.code !== 0)
    throw new Error(`no load through the tunnel: ${up.stderr}${down.stderr}`);
  return most;
}

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
