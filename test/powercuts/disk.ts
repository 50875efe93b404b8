import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { eventually } from '../e2e/process.ts';
import type { VolatileDisk } from '../qemu/disk.ts';
import { serveNbd } from '../qemu/nbd.ts';

/** How long the disk takes to flush: nothing may count on it before it says so. */
const FLUSH_MS = 3;

/** A disk of ours as a file on this machine, which a loop device can take. */
export interface ExportedDisk {
  readonly file: string;
  close(): Promise<void>;
}

/** Serves the disk as a file in `folder`: qemu-storage-daemon makes it of the network block device that is served here. */
export async function exportDisk(disk: VolatileDisk, folder: string): Promise<ExportedDisk> {
  const [socket, file] = [join(folder, 'disk.nbd'), join(folder, 'disk')];
  const server = await serveNbd(socket, {
    size: disk.size,
    read: (offset, length) => disk.read(offset, length),
    write: (offset, data, durable) => disk.write(offset, data, durable),
    // One request at a time: what is written before the answer waits behind it.
    async flush() {
      await new Promise((resolve) => setTimeout(resolve, FLUSH_MS));
      disk.flush();
    },
  });
  await writeFile(file, '');
  const backend = `driver=nbd,server.type=unix,server.path=${socket},node-name=disk`;
  const way = `type=fuse,id=file,node-name=disk,mountpoint=${file},writable=on,allow-other=off`;
  const daemon = spawn('qemu-storage-daemon', ['--blockdev', backend, '--export', way], { stdio: 'inherit' });
  const ended = once(daemon, 'exit');
  await eventually('the file of the disk', async () =>
    (await stat(file)).size === disk.size ? true : undefined,
  );
  return {
    file,
    async close() {
      daemon.kill('SIGTERM');
      await ended;
      await server.close();
    },
  };
}
