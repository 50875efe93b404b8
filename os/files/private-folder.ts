import { rmSync } from 'node:fs';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { writeFailure } from './durable.ts';

/** Names that say which process works in the folder: what a killed one has left is recognised. */
const NAME = /^\.enf-(\d+)-\w{6}$/;
const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

/**
 * Calls `work` with a new folder in `parent` that only this user may enter, and removes it with all that is in it, also if a signal ends the program. What
 * a killed process has left in `parent` is removed first. @throws Failure `os.disk-full`, `os.write-failed`
 */
export async function withPrivateFolder<T>(parent: string, work: (folder: string) => Promise<T>): Promise<T> {
  await removeLeftovers(parent);
  const folder = await makeFolder(parent);
  const end = (signal: NodeJS.Signals): void => {
    rmSync(folder, { recursive: true, force: true });
    forget();
    process.kill(process.pid, signal);
  };
  const forget = (): void => {
    for (const signal of SIGNALS) process.off(signal, end);
  };
  for (const signal of SIGNALS) process.on(signal, end);
  try {
    return await work(folder);
  } finally {
    forget();
    await rm(folder, { recursive: true, force: true });
  }
}

async function makeFolder(parent: string): Promise<string> {
  try {
    return await mkdtemp(join(parent, `.enf-${process.pid}-`));
  } catch (error) {
    throw writeFailure(join(parent, '.enf'), error);
  }
}

/** What cannot be removed, e.g. since it is another user's, is left. */
async function removeLeftovers(parent: string): Promise<void> {
  for (const name of await readdir(parent).catch(() => [])) {
    const owner = NAME.exec(name)?.[1];
    if (owner === undefined || isOtherRunning(Number(owner))) continue;
    await rm(join(parent, name), { recursive: true, force: true }).catch(() => {});
  }
}

/** True if another process than this one has the number. */
export function isOtherRunning(pid: number): boolean {
  if (pid === process.pid) return false;
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code !== 'ESRCH';
  }
}
