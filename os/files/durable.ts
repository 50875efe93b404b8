import { randomBytes } from 'node:crypto';
import { type FileHandle, open, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { Failure } from '../../protocol/failure.ts';

/** User and group of a file. */
export interface Owner {
  readonly uid: number;
  readonly gid: number;
}

/**
 * Writes `bytes` so that a power cut at any point leaves the old or the new content, never a mix:
 * temp file in the same folder, fsync, rename, fsync of the folder. `mode` defaults to 0600; without `owner` the file is this program's.
 * @throws Failure `os.disk-full`, `os.write-failed`
 */
export async function writeDurable(
  path: string,
  bytes: Uint8Array | string,
  mode = 0o600,
  owner?: Owner,
): Promise<void> {
  const temp = join(dirname(path), `.${randomBytes(6).toString('hex')}.tmp`);
  let file: FileHandle | undefined;
  try {
    file = await open(temp, 'wx', mode);
    await file.writeFile(bytes);
    await file.chmod(mode);
    if (owner !== undefined) await file.chown(owner.uid, owner.gid);
    await file.sync();
    await file.close();
    file = undefined;
    await rename(temp, path);
    await syncFolder(dirname(path));
  } catch (error) {
    await file?.close().catch(() => {});
    await rm(temp, { force: true }).catch(() => {});
    throw writeFailure(path, error);
  }
}

/** Removes a file if it is there, durably. @throws Failure `os.write-failed` */
export async function removeDurable(path: string): Promise<void> {
  try {
    await rm(path, { force: true });
    await syncFolder(dirname(path));
  } catch (error) {
    throw writeFailure(path, error);
  }
}

/** Makes the entries of a folder durable after a create, rename or unlink in it. */
export async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** The failure for an error of writing to `path`. */
export function writeFailure(path: string, error: unknown): Failure {
  const code = (error as NodeJS.ErrnoException).code ?? 'unknown';
  if (code === 'ENOSPC' || code === 'EDQUOT') {
    return new Failure('os.disk-full', 'retry', `cannot write ${path}: no space left (${code})`, {
      action: `Free space on the file system of ${dirname(path)}.`,
      cause: error,
    });
  }
  return new Failure('os.write-failed', 'operator', `cannot write ${path}: ${code}`, {
    action: `Check that ${dirname(path)} exists, is writable by this user and not on a read-only mount.`,
    cause: error,
  });
}
