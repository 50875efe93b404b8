import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { must } from '../e2e/batch.ts';
import { eventually } from '../e2e/process.ts';
import { type Cut, cutsOf } from './cuts.ts';
import { afterPowerCut, type Recording } from './disk.ts';
import { takeOut } from './ext4.ts';
import { randomFor, step } from './settings.ts';
import { retryAfterStall } from './stalls.ts';
import type { Testbed } from './testbed.ts';

/** So many cuts, the same ones for the same purpose and seed of the run; see `cutsOf`. */
export const chooseCuts = (recording: Recording, count: number, purpose: string, since?: string): Cut[] =>
  cutsOf(recording, count, randomFor(purpose), since);

/** Replays cut after cut, and says after which of them something was wrong, and what. */
export async function replayAll(
  testbed: Testbed,
  recording: Recording,
  cuts: readonly Cut[],
  address: string,
): Promise<string[]> {
  const failed: string[] = [];
  for (const [index, cut] of cuts.entries()) {
    const wrong = await retryAfterStall(() =>
      replay(testbed, recording, cut, address).catch((error: unknown) => [String(error)]),
    );
    const which = `cut after ${cut.position} of ${recording.events.length} events, keeping ${cut.keep}, seed ${cut.seed}`;
    if (wrong.length > 0) failed.push(`${which}: ${wrong.join('; ')}`);
    if ((index + 1) % 10 === 0 || index + 1 === cuts.length)
      step(`${index + 1} of ${cuts.length} power cuts`);
  }
  return failed;
}

/**
 * What is wrong after a power cut; nothing if the device is who it was. The disk is what the cut has left of it, after the
 * repair of its journal; TPM and registry are as they were at that moment; the agent and the fabric are the real ones.
 */
async function replay(testbed: Testbed, recording: Recording, cut: Cut, address: string): Promise<string[]> {
  const left = afterPowerCut(recording, cut.position, cut.keep, randomFor('blocks', cut.seed));
  const { device, world } = testbed;
  await device.stop('SIGKILL');
  const wrong = await takeOut(left.disk, device.state);
  await device.tpm.stop();
  await world.fabric.stop();
  rmSync(join(world.fabric.data, 'registry.db-shm'), { force: true });
  for (const [path, bytes] of left.around) {
    if (bytes === undefined) rmSync(path, { force: true });
    else writeFileSync(path, bytes);
  }
  await Promise.all([world.fabric.serve(), device.powerCut()]);
  const runtime = join(world.folder, 'runtime');
  rmSync(runtime, { recursive: true, force: true });
  mkdirSync(runtime);
  const before = (await testbed.accepted()).length;
  device.start({ environment: { RUNTIME_DIRECTORY: runtime } });
  try {
    const isOnline = async () => (existsSync(join(runtime, 'online')) ? true : undefined);
    await eventually('the device to be online', isOnline, 180_000);
    const now = await device.status();
    if (now.address !== address) wrong.push(`another address: ${now.address}`);
  } catch (error) {
    const said = readFileSync(join(world.folder, `device${device.number}.log`), 'utf8').slice(-2000);
    wrong.push(`${String(error)}\n${said}`);
  }
  await device.stop();
  const [accepted, rows, tpm] = await Promise.all([
    testbed.accepted(),
    testbed.rows(),
    must(world.factory(['inspect', '--tcti', device.tpm.tcti], device.number)),
  ]);
  const further = accepted.length - before;
  // Once the device has been seen online with it, its identity has to be there for good.
  if (left.marks.includes('online') && further > 0) wrong.push('the identity was in use and not durable');
  if (further > 1) wrong.push(`${further} handshakes`);
  if (rows.length !== 1) wrong.push('another row in the registry');
  for (const file of readdirSync(device.state))
    if (/\.bad-/.test(file)) wrong.push(`unreadable state: ${file}`);
  if (!tpm.includes('lockout 0 of')) wrong.push('the lockout counter of the TPM has moved');
  return wrong;
}
