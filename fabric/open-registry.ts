import { existsSync } from 'node:fs';
import { readFile, rename, stat } from 'node:fs/promises';
import { writeDurable } from '../os/files/durable.ts';
import { Failure } from '../protocol/failure.ts';
import type { Migrated } from './registry/postgres/migrate.ts';
import { type CopyProgress, copyFromServers, type Moved, moveToServers } from './registry/postgres/move.ts';
import {
  forgetServers,
  migrateServers,
  openServerReader,
  openServerRegistry,
  serverFiles,
} from './registry/postgres/registry.ts';
import { askServer, type DatabaseServer } from './registry/postgres/server.ts';
import { readServers, serversFile } from './registry/postgres/servers.ts';
import type { RegistrySummary } from './registry/records.ts';
import type { Registry, RegistryOptions, RegistryReader } from './registry/registry.ts';
import { checkDatabase, copyDatabase, registryFiles } from './registry/sqlite/copy.ts';
import { type Held, lockKeyFile } from './registry/sqlite/lock.ts';
import { emptySqliteRegistry, openSqliteReader, openSqliteRegistry } from './registry/sqlite/open.ts';

export type { CopyProgress, DatabaseServer, Migrated };

/**
 * Which engine keeps the registry is decided here and nowhere else: PostgreSQL, if a file "registry.url" is in the data folder (postgres/servers.ts), else
 * SQLite in the file at `path`.
 */

/** Whether the registry at `path` is on a server. */
export const isOnServer = (path: string): boolean => existsSync(serversFile(path));

/** What the database servers of the registry at `path` say of themselves; undefined if it is in a file. @throws Failure see `readServers` */
export async function registryServers(path: string): Promise<readonly DatabaseServer[] | undefined> {
  return serversOf(path)?.map(askServer);
}

const serversOf = (path: string): readonly string[] | undefined => readServers(serversFile(path));

/** Opens the registry at `path`. @throws Failure see `openDatabase` in sqlite/database.ts, and `openServerRegistry` */
export async function openRegistry(path: string, options: RegistryOptions = {}): Promise<Registry> {
  const servers = serversOf(path);
  return servers === undefined
    ? openSqliteRegistry(path, options)
    : openServerRegistry(servers, serversFile(path), options);
}

/**
 * Opens the registry at `path` to read beside the fabric that serves it; undefined if that is of another version.
 * @throws Failure see `openDatabase` in sqlite/database.ts, and `openServerRegistry`
 */
export async function openReader(path: string): Promise<RegistryReader | undefined> {
  const servers = serversOf(path);
  return servers === undefined ? openSqliteReader(path) : openServerReader(servers, serversFile(path));
}

/** The content of a new registry file; its audit trail begins with the actor who made it. */
export function emptyRegistry(actor: string, at = Date.now()): Uint8Array {
  return emptySqliteRegistry(actor, at);
}

/** The paths at which a registry keeps its files, whether they are there or not. */
export const filesOfRegistry = (path: string): readonly string[] => [
  ...registryFiles(path).flatMap((name) => [name, `${name}${MOVED}`]),
  ...serverFiles(serversFile(path)),
];

/** Nobody hears how far it is: it is told once the copy is whole. */
const SILENT: CopyProgress = { table() {}, copied() {}, verifying() {} };

/** Writes a copy of the registry at `path` into a new file of SQLite, also while a fabric serves it. @throws Failure see `copyDatabase` in sqlite/copy.ts, and `copyFromServers` */
export async function copyRegistry(path: string, to: string): Promise<void> {
  const servers = serversOf(path);
  if (servers === undefined) copyDatabase(path, to);
  else await copyFromServers({ urls: servers, path: serversFile(path) }, to, SILENT);
}

/**
 * Moves the registry of the file at `path` to the servers that `file` names, which becomes the data folder's "registry.url"; the file of SQLite stays under
 * another name. If it is interrupted, the same again goes on; until all is copied the registry is where it was, and until it is done nobody opens it on the servers.
 * @throws Failure see `moveToServers`, `readServers`
 */
export async function moveRegistry(path: string, file: string, progress: CopyProgress): Promise<Moved> {
  const servers = readServers(file);
  if (servers === undefined) throw noServers(file);
  const former = serversOf(path);
  // Both are there if it was interrupted at its end.
  if (former !== undefined && !(existsSync(path) && String(former) === String(servers)))
    throw movedAlready(serversFile(path));
  const addresses = await readFile(file);
  const moved = await moveToServers(path, servers, Date.now(), {
    progress,
    async finishing() {
      const { uid, gid } = await stat(path);
      forgetServers(serversFile(path));
      await writeDurable(serversFile(path), addresses, 0o600, { uid, gid });
    },
  });
  for (const name of registryFiles(path)) await rename(name, `${name}${MOVED}`).catch(ignoreAbsent);
  return moved;
}

/** What the files of a registry are called in addition, once it is on a server. */
const MOVED = '-moved';

function ignoreAbsent(error: unknown): void {
  if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
}

/** Brings the registry on the servers that `file` names up to date, as its owner. @throws Failure see `migrateServers`, `readServers` */
export async function migrateRegistry(file: string): Promise<Migrated> {
  const servers = readServers(file);
  if (servers === undefined) throw noServers(file);
  return migrateServers(servers, Date.now());
}

const noServers = (file: string): Failure =>
  new Failure('os.no-file', 'operator', `${file} is not there`, {
    action:
      'Write the address of the database into a file of mode 0600: a password does not belong into a command.',
  });

const movedAlready = (file: string): Failure =>
  new Failure('registry.exists', 'operator', `the registry is on a server already, as ${file} says`, {
    action: 'To move it to another server, use the tools of PostgreSQL, and change the address in that file.',
  });

/** Checks a copy of a registry, and says what it holds. @throws Failure see `checkDatabase` in sqlite/copy.ts */
export async function checkRegistry(path: string): Promise<RegistrySummary> {
  return checkDatabase(path);
}

/** Holds what one process at a time does, by the engine's lock of a file of its own. @throws Failure see `lockKeyFile` in sqlite/lock.ts */
export const lockKeys: (path: string) => Held = lockKeyFile;
