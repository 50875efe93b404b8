import { constants } from 'node:fs';
import { type FileHandle, lstat, mkdir, open, readdir, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { addon } from '../../native/index.ts';
import { Failure } from '../../protocol/failure.ts';
import { type Owner, syncFolder, writeDurable } from './durable.ts';
import { readBounded } from './read.ts';

/** One folder of small private files, each change of it durable before the promise resolves. */
export interface Folder {
  readonly path: string;
  /** The names in it. */
  list(): Promise<readonly string[]>;
  /** The whole file. @throws Failure `os.no-file`, `os.not-readable`, `os.file-too-large` */
  read(name: string): Promise<Uint8Array>;
  /** Old or new content after a power cut, never a mix; mode 0600. @throws Failure `os.disk-full`, `os.write-failed` */
  write(name: string, bytes: Uint8Array): Promise<void>;
  rename(from: string, to: string): Promise<void>;
  remove(name: string): Promise<void>;
}

/** Leftovers of `writeDurable` when the power went before its rename. */
const UNFINISHED = /^\.[0-9a-f]{12}\.tmp$/;

/**
 * Opens a folder, making it (mode 0700) if it is missing, and clears away what a power cut left unfinished.
 * Only one program may have it open, which `holdFolder` makes sure of. What root writes in the folder of another user is that user's: a service reads what a command has written.
 * @throws Failure `os.no-folder`
 */
export async function openFolder(path: string): Promise<Folder> {
  let owner: Owner | undefined;
  try {
    await mkdir(path, { recursive: true, mode: 0o700 });
    const { uid, gid } = await stat(path);
    if (process.geteuid!() === 0 && uid !== 0) owner = { uid, gid };
    for (const name of await readdir(path)) {
      if (UNFINISHED.test(name)) await rm(join(path, name), { force: true });
    }
  } catch (error) {
    throw unusable(path, error);
  }
  const durably = async (change: () => Promise<void>): Promise<void> => {
    try {
      await change();
      await syncFolder(path);
    } catch (error) {
      throw unusable(path, error);
    }
  };
  return {
    path,
    list: async () => {
      try {
        return await readdir(path);
      } catch (error) {
        throw unusable(path, error);
      }
    },
    read: (name) => readBounded(join(path, name), 'state file'),
    write: (name, bytes) => writeDurable(join(path, name), bytes, 0o600, owner),
    rename: (from, to) => durably(() => rename(join(path, from), join(path, to))),
    remove: (name) => durably(() => rm(join(path, name), { force: true })),
  };
}

/** A folder that nobody else has meanwhile. */
export interface HeldFolder {
  readonly folder: Folder;
  release(): Promise<void>;
}

/**
 * Opens a folder as `openFolder` does, for this caller alone among those that open it so; undefined if another has it, in this program or another one.
 * The kernel takes it back when a program ends, however it ends, and nothing is written for it: a folder on a read-only mount can be held, too.
 * @throws Failure `os.no-folder`
 */
export async function holdFolder(path: string): Promise<HeldFolder | undefined> {
  const handle = await openToLock(path);
  let held: HeldFolder | undefined;
  try {
    if (lock(handle)) held = { folder: await openFolder(path), release: () => handle.close() };
    return held;
  } finally {
    if (held === undefined) await handle.close();
  }
}

async function openToLock(path: string): Promise<FileHandle> {
  try {
    await mkdir(path, { recursive: true, mode: 0o700 });
    return await open(path, constants.O_RDONLY | constants.O_DIRECTORY);
  } catch (error) {
    throw unusable(path, error);
  }
}

/** What a file system without locks says: there a device works as well without one. */
const NO_LOCKS: readonly unknown[] = ['ENOLCK', 'EOPNOTSUPP', 'ENOSYS'];

function lock({ fd }: FileHandle): boolean {
  try {
    return addon().fileLock(fd);
  } catch (error) {
    if (NO_LOCKS.includes((error as NodeJS.ErrnoException).code)) return true;
    throw error;
  }
}

/** True if something is at `path`, whatever it is. */
export async function exists(path: string): Promise<boolean> {
  return lstat(path).then(
    () => true,
    () => false,
  );
}

function unusable(path: string, error: unknown): Failure {
  const code = (error as NodeJS.ErrnoException).code ?? 'unknown';
  return new Failure('os.no-folder', 'operator', `cannot use the folder ${path}: ${code}`, {
    action: `Check that ${path} can be made and written by this user and is not on a read-only mount.`,
    cause: error,
  });
}
