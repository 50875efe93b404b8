import type { RegistrySummary } from './registry/records.ts';
import type { Registry, RegistryOptions, RegistryReader } from './registry/registry.ts';
import { checkDatabase, copyDatabase, registryFiles } from './registry/sqlite/copy.ts';
import { type Held, lockKeyFile } from './registry/sqlite/file/lock.ts';
import { openSqliteReader } from './registry/sqlite/reader.ts';
import { emptySqliteRegistry, openSqliteRegistry } from './registry/sqlite/registry.ts';

/** Which engine keeps the registry is decided here and nowhere else. Today there is one. */

/** Opens the registry at `path`. @throws Failure see `openDatabase` in sqlite/file/database.ts */
export async function openRegistry(path: string, options: RegistryOptions = {}): Promise<Registry> {
  return openSqliteRegistry(path, options);
}

/**
 * Opens the registry at `path` to read beside the fabric that serves it; undefined if that is of another version.
 * @throws Failure see `openDatabase` in sqlite/file/database.ts
 */
export async function openReader(path: string): Promise<RegistryReader | undefined> {
  return openSqliteReader(path);
}

/** The content of a new registry file; its audit trail begins with the actor who made it. */
export function emptyRegistry(actor: string, at = Date.now()): Uint8Array {
  return emptySqliteRegistry(actor, at);
}

/** The paths at which a registry keeps its files, whether they are there or not. */
export const filesOfRegistry: (path: string) => readonly string[] = registryFiles;

/** Writes a copy of the registry at `path` into a new file, also while a fabric serves it. @throws Failure see `copyDatabase` in sqlite/copy.ts */
export async function copyRegistry(path: string, to: string): Promise<void> {
  copyDatabase(path, to);
}

/** Checks a copy of a registry, and says what it holds. @throws Failure see `checkDatabase` in sqlite/copy.ts */
export async function checkRegistry(path: string): Promise<RegistrySummary> {
  return checkDatabase(path);
}

/** Holds what one process at a time does, by the engine's lock of a file of its own. @throws Failure see `lockKeyFile` in sqlite/file/lock.ts */
export const lockKeys: (path: string) => Held = lockKeyFile;
