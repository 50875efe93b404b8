import { randomBytes } from 'node:crypto';
import { link, mkdir, open, rename, rm } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { Failure } from '../../protocol/failure.ts';
import { syncFolder, writeFailure } from './durable.ts';
import { finishAndIsEmpty, placeToPrepare, putInPlace } from './place.ts';

export interface NewFile {
  readonly name: string;
  readonly content: Uint8Array | string;
  /** Permissions, 0600 unless told. */
  readonly mode?: number;
}

/** A new file that is too large to be held. */
export interface StreamedFile extends Omit<NewFile, 'content'> {
  readonly chunks: AsyncIterable<Uint8Array>;
}

/**
 * Creates a folder (0700) with all its files, which are asked for one after the other, or fills one that was empty, which keeps its owner; complete or
 * not at all, see place.ts. Never overwrites.
 * @throws Failure `os.exists`, `os.disk-full`, `os.write-failed`, and those of the files
 */
export async function createFolder(
  path: string,
  files: Iterable<NewFile | StreamedFile> | AsyncIterable<NewFile | StreamedFile>,
): Promise<void> {
  const target = resolve(path);
  const temp = join(await placeToPrepare(target), temporaryBase());
  try {
    await mkdir(temp, { mode: 0o700 });
    for await (const file of files) {
      const [target, mode] = [join(temp, file.name), file.mode ?? 0o600];
      if ('chunks' in file) await writeChunks(target, file.chunks, mode);
      else await writeNew(target, file.content, mode);
    }
    await syncFolder(temp);
    await putInPlace(temp, target);
  } catch (error) {
    await rm(temp, { recursive: true, force: true }).catch(() => {});
    throw error instanceof Failure ? error : createFailure(path, error);
  }
}

/** Looks whether `createFolder` would find room, before something is done that it is for. @throws Failure `os.exists`, `os.write-failed` */
export async function requireEmpty(path: string): Promise<void> {
  const empty = await finishAndIsEmpty(resolve(path)).catch((error: unknown) => {
    throw createFailure(path, error);
  });
  if (!empty) throw createFailure(path, Object.assign(new Error('not empty'), { code: 'EEXIST' }));
}

/**
 * Writes a file that did not exist; `mode` is 0600 unless told.
 * @throws Failure `os.exists`, `os.disk-full`, `os.write-failed`
 */
export async function createFile(path: string, content: Uint8Array | string, mode = 0o600): Promise<void> {
  try {
    await writeNew(path, content, mode);
    await syncFolder(dirname(resolve(path)));
  } catch (error) {
    throw createFailure(path, error);
  }
}

/**
 * Writes a file that did not exist from a stream; complete or not at all, and never over another one. `check` looks at the complete file before it
 * gets its name; mode 0600. Returns its length.
 * @throws Failure `os.exists`, `os.disk-full`, `os.write-failed`, and those of the stream and of `check`
 */
export async function createFileFrom(
  path: string,
  chunks: AsyncIterable<Uint8Array>,
  check: (temporary: string) => Promise<unknown>,
): Promise<number> {
  const temp = temporaryName(resolve(path));
  try {
    const length = await writeChunks(temp, chunks);
    await check(temp);
    await publish(temp, path);
    await syncFolder(dirname(resolve(path)));
    return length;
  } catch (error) {
    throw error instanceof Failure ? error : createFailure(path, error);
  } finally {
    await rm(temp, { force: true });
  }
}

/** Gives a file its name, unless there is one of that name; on file systems without links with a gap that only a program of the same moment could meet. */
async function publish(temp: string, path: string): Promise<void> {
  try {
    await link(temp, path);
  } catch (error) {
    if (!['EPERM', 'ENOTSUP', 'ENOSYS'].includes((error as NodeJS.ErrnoException).code ?? '')) throw error;
    await (await open(path, 'wx')).close();
    await rename(temp, path);
  }
}

/** Writes a stream into a new file (at most 0600, unless told) and flushes it. Returns its length. */
export async function writeChunks(
  path: string,
  chunks: AsyncIterable<Uint8Array>,
  mode = 0o600,
): Promise<number> {
  const file = await open(path, 'wx', mode);
  let length = 0;
  try {
    for await (const chunk of chunks) {
      await file.writeFile(chunk);
      length += chunk.length;
    }
    await file.sync();
    return length;
  } finally {
    await file.close();
  }
}

const temporaryBase = (): string => `.${randomBytes(6).toString('hex')}.tmp`;
const temporaryName = (target: string): string => join(dirname(target), temporaryBase());

/** Removes a file that could not be written completely; never one that existed before. */
async function writeNew(path: string, content: Uint8Array | string, mode: number): Promise<void> {
  const file = await open(path, 'wx', mode);
  try {
    await file.writeFile(content);
    await file.chmod(mode);
    await file.sync();
  } catch (error) {
    await rm(path, { force: true });
    throw error;
  } finally {
    await file.close();
  }
}

function createFailure(path: string, error: unknown): Failure {
  const code = (error as NodeJS.ErrnoException).code ?? '';
  if (['EEXIST', 'ENOTEMPTY', 'ENOTDIR', 'EISDIR'].includes(code)) {
    return new Failure('os.exists', 'operator', `${path} already exists; nothing was overwritten (${code})`, {
      action: 'Choose another name, or move the existing one away.',
      cause: error,
    });
  }
  return writeFailure(path, error);
}
