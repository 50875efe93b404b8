import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { commandOf, run } from '../../fabric/registry/postgres/server.ts';
import { onDisk } from '../serving.ts';

/** PostgreSQL on a disk of ours, or on what is left of one. */
export interface DatabaseServer {
  readonly pid: number;
  /** Ends it in order: it has nothing to mend when it starts again. */
  stop(): Promise<void>;
  /** Ends it at once. */
  kill(): Promise<void>;
}

export const DATABASE = 'enf';

/** Small, so that checkpoints and new segments of its log fall into the recording. */
const SETTINGS = {
  ...{ listen_addresses: '', max_connections: '20', shared_buffers: '16MB' },
  ...{ checkpoint_timeout: '30s', min_wal_size: '2MB', max_wal_size: '4MB' },
};

type Settings = Readonly<Record<string, string>>;

/** Where the database is at a server whose socket is in the folder `sockets`. */
export const urlOf = (sockets: string): string =>
  `postgres://enf@/${DATABASE}?host=${encodeURIComponent(sockets)}`;

/** A new cluster in the folder `data`, which says of each page that it reads whether it is whole. */
export const makeCluster = (data: string): string =>
  run(
    ...['initdb', '-D', data, '-U', 'enf', '-A', 'trust', '--no-sync', '--data-checksums'],
    ...['--wal-segsize=1', '-E', 'UTF8', '--locale=C'],
  );

/** Serves the cluster in the folder `data` of the ext4 in `file`, mounted at the folder `mount`. @throws Error with what it said */
export const startOnDisk = (
  file: string,
  mount: string,
  { sockets, settings = {} }: { sockets: string; settings?: Settings },
): Promise<DatabaseServer> => start(onDisk(file, mount), join(mount, 'data'), sockets, settings);

/** Serves the cluster in a folder, which nobody needs any longer than that. @throws Error with what it said */
export const startInFolder = (data: string, sockets: string): Promise<DatabaseServer> =>
  start([], data, sockets, { fsync: 'off' });

async function start(
  before: readonly string[],
  data: string,
  sockets: string,
  settings: Settings,
): Promise<DatabaseServer> {
  const all = Object.entries({ ...SETTINGS, unix_socket_directories: sockets, ...settings });
  const given = all.flatMap(([name, value]) => ['-c', `${name}=${value}`]);
  const [command, ...words] = [...before, ...commandOf('postgres'), '-D', data, ...given];
  const child = spawn(command!, words, { stdio: ['ignore', 'ignore', 'pipe'], cwd: '/' });
  const ended = once(child, 'close');
  let said = '';
  const ready = new Promise<true>((resolve) =>
    child.stderr.on('data', (chunk) => {
      said += chunk;
      if (said.includes('ready to accept connections')) resolve(true);
    }),
  );
  if ((await Promise.race([ready, ended])) !== true) throw new Error(`PostgreSQL does not start: ${said}`);
  const end = async (signal: 'SIGINT' | 'SIGQUIT'): Promise<void> => {
    child.kill(signal);
    await ended;
  };
  return { pid: child.pid!, stop: () => end('SIGINT'), kill: () => end('SIGQUIT') };
}

/** What the server itself finds wrong with tables and indexes. */
export function unsound(sockets: string): string[] {
  try {
    run('pg_amcheck', '-h', sockets, '-U', 'enf', '-d', DATABASE, '--install-missing', '--heapallindexed');
    return [];
  } catch (error) {
    return [`pg_amcheck: ${(error as { stdout?: string }).stdout ?? ''} ${error}`];
  }
}
