import { execFile } from 'node:child_process';
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import { cp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { SERVERS_FILE } from '../../../fabric/registry/postgres/servers.ts';
import { headFile } from '../../../fabric/registry/sql/trail/kept-head.ts';
import { program } from '../../e2e/world.ts';
import { giveToServer, run } from '../../fabric/registry/postgres/server.ts';
import { fileSystem, type Recording, VolatileDisk } from '../../qemu/disk.ts';
import { exportDisk } from '../disk.ts';
import { addNetwork, load, type Work } from '../load.ts';
import { found } from '../record.ts';
import { serveFolder } from '../serving.ts';
import { DATABASE, makeCluster, startInFolder, startOnDisk, urlOf } from './server.ts';

const execute = promisify(execFile);

/** A fabric whose registry is on PostgreSQL. */
export interface Founded extends Awaited<ReturnType<typeof found>> {
  /** The fabric's own folder: what is on it is not lost. */
  readonly fabric: string;
  /** A tree with the server's cluster in `data`, as it is before anybody asks it. */
  readonly cluster: string;
}

/** What is wrong with the fabric (a module that Node loads before it) or with the server (settings). */
export interface Fault {
  readonly module?: string;
  readonly settings?: Readonly<Record<string, string>>;
}

/** Databases that nobody needs go: half of the disk. */
const WITHOUT = [
  "UPDATE pg_database SET datistemplate = false WHERE datname = 'template0'",
  ...['template0', 'postgres'].map((name) => `DROP DATABASE ${name}`),
];

/** The file that says which entry of the trail was the newest, beside the registry in the folder `data`. */
export const headOf = (data: string): string => headFile(join(data, SERVERS_FILE));

/** A folder of this name that PostgreSQL owns. */
export function serversFolder(parent: string, name: string): string {
  const folder = join(parent, name);
  mkdirSync(folder);
  giveToServer(folder);
  return folder;
}

export async function foundOnServer(folder: string): Promise<Founded> {
  // The server is another user than who tests.
  chmodSync(folder, 0o711);
  const founded = await found(folder);
  const [fabric, cluster] = [join(founded.tree, 'fabric'), serversFolder(folder, 'cluster')];
  const sockets = serversFolder(folder, 'sockets');
  makeCluster(join(cluster, 'data'));
  const server = await startInFolder(join(cluster, 'data'), sockets);
  try {
    run('createdb', '-h', sockets, '-U', 'enf', DATABASE);
    const url = join(folder, SERVERS_FILE);
    writeFileSync(url, urlOf(sockets), { mode: 0o600 });
    const [node, ...script] = program('fabric');
    await execute(node!, [...script, 'registry', 'move', url, '--data', fabric]);
    const commands = WITHOUT.flatMap((sql) => ['-c', sql]);
    run('psql', '-h', sockets, '-U', 'enf', '-d', DATABASE, '-v', 'ON_ERROR_STOP=1', '-q', ...commands);
  } finally {
    await server.stop();
  }
  return { ...founded, fabric, cluster };
}

/** What the server writes to its disk while the fabric works, with the marks of what the fabric's clients were told. */
export async function recordServer(
  { folder, fabric, cluster, group }: Founded,
  work: Work,
  { module, settings = {} }: Fault = {},
): Promise<Recording> {
  const data = join(folder, 'serving');
  await rm(data, { recursive: true, force: true });
  await cp(fabric, data, { recursive: true });
  const disk = new VolatileDisk(fileSystem(join(folder, 'blank.ext4'), cluster), [headOf(data)]);
  const mount = join(folder, 'mount');
  mkdirSync(mount, { recursive: true });
  const exported = await exportDisk(disk, folder);
  try {
    const server = await startOnDisk(exported.file, mount, { sockets: join(folder, 'sockets'), settings });
    try {
      const environment = module === undefined ? {} : { NODE_OPTIONS: `--import=${module}` };
      const serving = await serveFolder(data, environment);
      try {
        await execute('sync', ['--file-system', `/proc/${server.pid}/root${mount}/data`]);
        disk.record();
        await load({ serving, group, mark: (text) => disk.mark(text) }, work, addNetwork);
        return disk.recorded();
      } finally {
        await serving.kill();
      }
    } finally {
      await server.kill();
    }
  } finally {
    await exported.close();
  }
}
