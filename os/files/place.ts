import { chmod, chown, lstat, readdir, rename, rmdir, stat } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { syncFolder } from './durable.ts';

/**
 * A folder is filled completely or not at all. One that was not there gets its name by one rename. One that was there (made by the package, or the
 * mount point of a volume, which cannot be replaced) keeps its owner and group, and is closed to all others: its content is completed in a folder inside, gets a name that says so,
 * and is then moved up, file by file. If the power goes meanwhile, the next call finishes the move.
 */
const COMPLETE = '.enf-complete';
/** What an empty folder may hold: a new ext4 has one, and programs that were killed have left the others. */
const COUNTS_AS_EMPTY = /^(lost\+found|\.enf-\d+-\w{6}|\.[0-9a-f]{12}\.tmp)$/;

/** Where what becomes the content of `target` is prepared, on its file system: inside of it if it is there, else beside it. */
export async function placeToPrepare(target: string): Promise<string> {
  return (await isFolder(target)) ? resolve(target) : dirname(resolve(target));
}

/** Nothing is in the folder, or there is none. What an earlier call had completed is moved in place first. */
export async function isEmptyOrAbsent(target: string): Promise<boolean> {
  if (!(await isFolder(target))) return !(await isThere(target));
  await moveUp(target);
  return (await readdir(target)).every((name) => COUNTS_AS_EMPTY.test(name));
}

/**
 * Makes the folder `prepared`, whose files are complete and flushed, the content of `target`, which is empty or absent. If root does it, the files
 * get the owner that the folder has. @throws Error of the file system; EEXIST if `target` has something in it
 */
export async function putInPlace(prepared: string, target: string): Promise<void> {
  if (!(await isEmptyOrAbsent(target))) throw Object.assign(new Error('not empty'), { code: 'EEXIST' });
  if (!(await isFolder(target))) {
    await rename(prepared, target);
    await syncFolder(dirname(resolve(target)));
    return;
  }
  const { uid, gid, mode } = await stat(target);
  await chmod(target, mode & 0o750);
  if (process.geteuid?.() === 0 && uid !== 0) await giveAll(prepared, uid, gid);
  await syncFolder(prepared);
  await rename(prepared, join(target, COMPLETE));
  await syncFolder(target);
  await moveUp(target);
}

/** Moves what is complete inside of `folder` to where it belongs. */
async function moveUp(folder: string): Promise<void> {
  const from = join(folder, COMPLETE);
  if (!(await isFolder(from))) return;
  for (const name of await readdir(from)) await rename(join(from, name), join(folder, name));
  await syncFolder(folder);
  await rmdir(from);
  await syncFolder(folder);
}

async function giveAll(folder: string, uid: number, gid: number): Promise<void> {
  for (const entry of await readdir(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) await giveAll(path, uid, gid);
    else await chown(path, uid, gid);
  }
  await chown(folder, uid, gid);
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
