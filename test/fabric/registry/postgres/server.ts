import { execFileSync, spawn } from 'node:child_process';
import { appendFileSync, chownSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';

/** A PostgreSQL server of the tests' own, on a socket in a folder of its own. */
export interface Server {
  /** Where it listens beside that socket. */
  readonly host?: Host | undefined;
  readonly folder: string;
  /** Where a database of this name is. */
  url(database: string): string;
  /** Runs SQL as the server's owner, and returns what psql prints of it. */
  sql(database: string, text: string): string;
  /** Ends it at once, as a power cut does; by SIGKILL without a word to its processes. */
  kill(signal?: 'SIGQUIT' | 'SIGKILL'): Promise<void>;
  start(): Promise<void>;
}

/** A host in a network namespace, whose neighbours (a /24) may all use the server. */
export interface Host {
  readonly namespace: string;
  /** IPv4. */
  readonly address: string;
}

/** Who PostgreSQL runs as, since it refuses root. */
const NOBODY = 65534;

/** Gives a folder to whom PostgreSQL runs as. */
export function giveToServer(folder: string): void {
  if (process.geteuid?.() === 0) chownSync(folder, NOBODY, NOBODY);
}

const VERSIONS = '/usr/lib/postgresql';

function program(name: string): string {
  const version = readdirSync(VERSIONS).sort((one, other) => Number(other) - Number(one))[0];
  return join(VERSIONS, version!, 'bin', name);
}

const asOwner = (host?: Host): readonly string[] =>
  process.geteuid?.() === 0
    ? [
        ...(host === undefined ? [] : ['ip', 'netns', 'exec', host.namespace]),
        ...['setpriv', `--reuid=${NOBODY}`, `--regid=${NOBODY}`, '--clear-groups', '--'],
      ]
    : [];

/** The command line of one of PostgreSQL's programs, as who may run it, on a host. */
export const commandOf = (name: string, host?: Host): readonly string[] => [...asOwner(host), program(name)];

/** Runs one of PostgreSQL's programs to its end, and returns what it prints. @throws Error if it fails */
export const run = (name: string, ...argv: string[]): string => runAt(undefined, name, ...argv);

function runAt(host: Host | undefined, name: string, ...argv: string[]): string {
  const [command, ...before] = commandOf(name, host);
  return execFileSync(command!, [...before, ...argv], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'pipe'],
    cwd: '/',
  });
}

/**
 * Starts a server. `settings`: as postgresql.conf has them; it writes nothing through to the disk unless they say so. `primary`: it is a standby of that one,
 * which waits for it at each commit. With `host` it listens there, too, and as a standby asks the primary at its host.
 */
export async function startServer(
  settings: Readonly<Record<string, string>> = {},
  primary?: Server,
  host?: Host,
): Promise<Server> {
  const folder = mkdtempSync(join(tmpdir(), 'enf-pg-'));
  giveToServer(folder);
  const data = join(folder, 'data');
  if (primary === undefined) {
    run('initdb', '-D', data, '-U', 'enf', '-A', 'trust', '--no-sync', '-E', 'UTF8', '--locale=C');
    if (host !== undefined) {
      const neighbours = ['all', 'replication'].map((what) => `host ${what} all ${host.address}/24 trust\n`);
      appendFileSync(join(data, 'pg_hba.conf'), neighbours.join(''));
    }
  } else
    runAt(
      host,
      'pg_basebackup',
      '-D',
      data,
      '-d',
      `host=${host === undefined ? primary.folder : primary.host!.address} user=enf application_name=standby`,
      '-R',
      '--checkpoint=fast',
      '--no-sync',
    );
  let running: ReturnType<typeof spawn> | undefined;
  const all = {
    ...{
      listen_addresses: host?.address ?? '',
      unix_socket_directories: folder,
      max_connections: '200',
      fsync: 'off',
    },
    ...{ shared_buffers: '32MB', ...settings },
  };
  const sql = (database: string, text: string): string =>
    run('psql', '-h', folder, '-U', 'enf', '-d', database, '-v', 'ON_ERROR_STOP=1', '-qAtc', text).trim();

  async function start(): Promise<void> {
    const [command, ...before] = commandOf('postgres', host);
    const given = Object.entries(all).flatMap(([name, value]) => ['-c', `${name}=${value}`]);
    running = spawn(command!, [...before, '-D', data, ...given], { stdio: 'ignore', cwd: '/' });
    for (let left = 100; ; left--) {
      try {
        sql('postgres', 'SELECT 1');
        return;
      } catch (error) {
        if (left === 0) throw error;
        await wait(100);
      }
    }
  }

  await start();
  return {
    folder,
    host,
    url: (database) =>
      host === undefined
        ? `postgres://enf@/${database}?host=${encodeURIComponent(folder)}`
        : `postgres://enf@${host.address}/${database}`,
    sql,
    async kill(signal = 'SIGQUIT') {
      const child = running;
      running = undefined;
      if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
      const ended = new Promise((resolve) => child.once('exit', resolve));
      child.kill(signal);
      await ended;
    },
    start,
  };
}

export async function stopServer(server: Server): Promise<void> {
  await server.kill();
  rmSync(server.folder, { recursive: true, force: true });
}
