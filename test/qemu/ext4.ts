import { execFile } from 'node:child_process';
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';

const execute = promisify(execFile);

/** Puts what is on an ext4 into a folder, as a mount would show it; says what its repair complained about. */
export async function takeOut(disk: Buffer, folder: string): Promise<string[]> {
  const file = `${folder}.ext4`;
  await mkdir(dirname(folder), { recursive: true });
  await rm(folder, { recursive: true, force: true });
  await mkdir(folder, { mode: 0o700 });
  await writeFile(file, disk);
  // What systemd does at boot: replays the journal, and mends only what is safe to mend.
  const damage = await execute('e2fsck', ['-f', '-p', file]).then(
    () => [],
    ({ code, stdout }: { code: number; stdout: string }) =>
      code < 4 ? [] : [`the file system is damaged: ${stdout}`],
  );
  await execute('debugfs', ['-R', `rdump / ${folder}`, file]);
  await rm(join(folder, 'lost+found'), { recursive: true, force: true });
  await rm(file);
  return damage;
}
