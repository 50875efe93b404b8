import { createHash, randomUUID } from 'node:crypto';
import { realpath, stat } from 'node:fs/promises';
import { readTrimmed } from '../../os/linux/machine.ts';

/** Files that say which host this is, and which of its boots. */
export interface HostFiles {
  readonly machineId: string;
  readonly bootId: string;
}

const HOST_FILES: HostFiles = {
  machineId: '/etc/machine-id',
  bootId: '/proc/sys/kernel/random/boot_id',
};

/** machine-id(5). Before the first boot of an image there may be `uninitialized`, and where no systemd runs it stays. */
const MACHINE_ID = /^[0-9a-f]{32}$/;

/**
 * What is the same whenever the fabric of a data folder is started on this host, and nowhere else: SHA-256 over the host's machine id, as that itself is not
 * to be given to others, and the folder. Without a machine id it is the same until the next boot: containers of one kernel have one boot id, so the folder is
 * told from others by its inode then.
 */
export async function installationAt(data: string, files: HostFiles = HOST_FILES): Promise<Uint8Array> {
  const folder = await realpath(data);
  const id = await readTrimmed(files.machineId);
  const machine = id !== undefined && MACHINE_ID.test(id) ? id : await bootOf(folder, files);
  return new Uint8Array(createHash('sha256').update(`enf node ${machine} ${folder}`).digest());
}

async function bootOf(folder: string, { bootId }: HostFiles): Promise<string> {
  const boot = await readTrimmed(bootId);
  const { dev, ino } = await stat(folder, { bigint: true });
  // A host of which nothing is known is another one at each start.
  return boot ? `boot ${boot} ${dev} ${ino}` : randomUUID();
}
