import { constants } from 'node:fs';
import { type FileHandle, lchown, lstat, open, readdir, rename, rmdir, stat } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { syncFolder, writeFailure } from './durable.ts';

/*
 * A folder is filled completely or not at all. One that was not there gets its name by one rename. One that was there (made by the package, or the
 * mount point of a volume, which cannot be replaced) keeps its owner and group, and is closed to all others: its content is completed in a folder
 * inside, gets a name that says so, and is then moved up, file by file. If the power goes meanwhile, the next call finishes the move.
 *
 * Root may do this in a folder of another user, who could put something else in the place of what root works on. So folders inside are held open
 * while they are worked on, and no link is followed.
 */

const COMPLETE = '.enf-complete';
/** What an empty folder may hold: a new ext4 has one, and programs that were killed have left the others. */
const COUNTS_AS_EMPTY = /^(lost\+found|\.enf-\d+-\w{6}|\.[0-9a-f]{12}\.tmp)$/;

/** Where what becomes the content of `target` is prepared, on its file system: inside of it if it is there, else beside it. */
export async function placeToPrepare(target: string): Promise<string> {
  return (await isFolder(target)) ? resolve(target) : dirname(resolve(target));
}

/** True if nothing is in the folder, or there is none. What an earlier call had completed is moved in place before that. */
export async function finishAndIsEmpty(target: string): Promise<boolean> {
  if (!(await isFolder(target))) return !(await isThere(target));
  await moveUp(target);
  return (await readdir(target)).every((name) => COUNTS_AS_EMPTY.test(name));
}

/**
 * Makes the folder `prepared`, whose files are complete and flushed, the content of `target`, which is empty or absent. If root does it, the files
 * get the owner that the folder has. @throws Error of the file system; EEXIST if `target` has something in it
 */
export async function putInPlace(prepared: string, target: string): Promise<void> {
  if (!(await finishAndIsEmpty(target))) throw Object.assign(new Error('not empty'), { code: 'EEXIST' });
  if (!(await isFolder(target))) {
    await rename(prepared, target);
    await syncFolder(dirname(resolve(target)));
    return;
  }
  await holding(target, true, async (inside, handle) => {
    const { uid, gid, mode } = await handle.stat();
    const self = process.geteuid?.();
    if (self === uid || self === 0) await handle.chmod(mode & 0o750);
    if (self === 0 && uid !== 0) await giveAll(prepared, uid, gid);
    await syncFolder(prepared);
    await rename(prepared, join(inside, COMPLETE));
    await handle.sync();
  });
  await moveUp(target);
}

/** Moves what is complete inside of `folder` to where it belongs. */
async function moveUp(folder: string): Promise<void> {
  await holding(folder, true, async (to, handle) => {
    if (!(await isThere(join(to, COMPLETE)))) return;
    await holding(join(to, COMPLETE), false, async (from) => {
      for (const name of await readdir(from)) await rename(join(from, name), join(to, name));
    });
    await handle.sync();
    await rmdir(join(to, COMPLETE));
    await handle.sync();
  });
}

async function giveAll(folder: string, uid: number, gid: number): Promise<void> {
  await holding(folder, false, async (inside, handle) => {
    for (const entry of await readdir(inside, { withFileTypes: true })) {
      const path = join(inside, entry.name);
      if (entry.isDirectory()) await giveAll(path, uid, gid);
      else await lchown(path, uid, gid);
    }
    await handle.chown(uid, gid);
  });
}

/** Calls `work` with a path that means this folder, whatever gets its name meanwhile. @throws Error ENOTDIR or ELOOP if it is a link and `follow` is false */
async function holding(
  folder: string,
  follow: boolean,
  work: (path: string, handle: FileHandle) => Promise<void>,
): Promise<void> {
  const flags = constants.O_RDONLY | constants.O_DIRECTORY | (follow ? 0 : constants.O_NOFOLLOW);
  const handle = await open(folder, flags);
  try {
    await work(`/proc/self/fd/${handle.fd}`, handle);
  } finally {
    await handle.close();
  }
}

const isFolder = (path: string): Promise<boolean> =>
  stat(path).then(
    (found) => found.isDirectory(),
    () => false,
  );

const isThere = (path: string): Promise<boolean> =>
  lstat(path).then(
    () => true,
    () => false,
  );

/** Gives a file another name, durably; nothing if there is no such file, or one of the other name. @throws Failure `os.write-failed` */
export async function moveIfThere(from: string, to: string): Promise<void> {
  if (!(await isThere(from)) || (await isThere(to))) return;
  try {
    await rename(from, to);
    await syncFolder(dirname(resolve(to)));
  } catch (error) {
    throw writeFailure(to, error);
  }
}
