import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { must } from '../e2e/batch.ts';
import { eventually } from '../e2e/process.ts';
import { afterPowerCut, type DiskEvent, type Recording } from './disk.ts';
import { randomFor, step } from './settings.ts';
import { retryAfterStall } from './stalls.ts';
import type { Testbed } from './testbed.ts';

/** A moment in a recording at which the power goes off. */
export interface Cut {
  /** How many events have happened. */
  readonly position: number;
  /** With which probability a block that was not flushed survives. */
  readonly keep: number;
  readonly seed: number;
}

/** Every third cut loses the whole cache, the others a part of it. */
const KEEP = [0, 0.3, 0.7] as const;

/** So many cuts, each right after a random write or mark; `since`: only from this mark on. */
export function chooseCuts({ events }: Recording, count: number, purpose: string, since?: string): Cut[] {
  const random = randomFor(purpose);
  const isMark = (event: DiskEvent): boolean => event.kind === 'mark' && event.name === since;
  const first = since === undefined ? 0 : events.findIndex(isMark);
  const places = events.flatMap((event, index) =>
    index >= first && (event.kind === 'write' || event.kind === 'mark') ? [index + 1] : [],
  );
  return Array.from({ length: count }, (_, n) => ({
    position: places[Math.floor(random() * places.length)]!,
    keep: KEEP[n % KEEP.length]!,
    seed: Math.floor(random() * 2 ** 32),
  }));
}

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
  const wrong = restoreState(left.disk, device.state);
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

/** Puts what is on an ext4 into a folder, as a mount would show it; says what its repair complained about. */
function restoreState(disk: Buffer, folder: string): string[] {
  const file = `${folder}.ext4`;
  mkdirSync(dirname(folder), { recursive: true });
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { mode: 0o700 });
  writeFileSync(file, disk);
  // What systemd does at boot: replays the journal, and mends only what is safe to mend.
  const { status, stdout } = spawnSync('e2fsck', ['-f', '-p', file], { encoding: 'utf8' });
  execFileSync('debugfs', ['-R', `rdump / ${folder}`, file], { stdio: 'ignore' });
  rmSync(join(folder, 'lost+found'), { recursive: true, force: true });
  rmSync(file);
  return status !== null && status < 4 ? [] : [`the file system is damaged: ${stdout}`];
}
