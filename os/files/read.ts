import { createReadStream } from 'node:fs';
import { open, readdir, stat } from 'node:fs/promises';
import { resolve } from 'node:path';
import { Failure, isFailure } from '../../protocol/failure.ts';

/**
 * Reads a file of at most `limit` bytes. `what` names it in the failure ("group public key").
 * @throws Failure `os.no-file`, `os.not-readable`, `os.file-too-large`
 */
export async function readBounded(path: string, what: string, limit = 65_536): Promise<Uint8Array> {
  try {
    const file = await open(path, 'r');
    try {
      const buffer = new Uint8Array(limit + 1);
      let length = 0;
      while (length < buffer.length) {
        const { bytesRead } = await file.read(buffer, length, buffer.length - length, null);
        if (bytesRead === 0) break;
        length += bytesRead;
      }
      if (length > limit) {
        throw new Failure('os.file-too-large', 'operator', `${what} ${path} is longer than ${limit} bytes`, {
          action: `Check that ${path} is the file you mean.`,
        });
      }
      return buffer.slice(0, length);
    } finally {
      await file.close();
    }
  } catch (error) {
    if (error instanceof Failure) throw error;
    throw readFailure(path, what, error);
  }
}

/**
 * Like `readBounded`, but undefined where no file is.
 * @throws Failure `os.not-readable`, `os.file-too-large`
 */
export async function readIfThere(
  path: string,
  what: string,
  limit?: number,
): Promise<Uint8Array | undefined> {
  try {
    return await readBounded(path, what, limit);
  } catch (error) {
    if (isFailure(error, 'os.no-file')) return undefined;
    throw error;
  }
}

/** Another text whenever a file was written or replaced since; undefined where none is. @throws Failure `os.not-readable` */
export async function versionIfThere(path: string, what: string): Promise<string | undefined> {
  try {
    const { dev, ino, size, ctimeNs } = await stat(path, { bigint: true });
    return [dev, ino, size, ctimeNs].join(' ');
  } catch (error) {
    const failure = readFailure(path, what, error);
    if (failure.code === 'os.no-file') return undefined;
    throw failure;
  }
}

/** The content of a file behind `start` bytes, however long, as it is read, `size` bytes at once. @throws Failure `os.no-file`, `os.not-readable` */
export async function* readChunks(
  path: string,
  what: string,
  { start = 0, size = 65_536 }: { readonly start?: number; readonly size?: number } = {},
): AsyncGenerator<Uint8Array> {
  try {
    yield* createReadStream(path, { start, highWaterMark: size });
  } catch (error) {
    throw readFailure(path, what, error);
  }
}

/** The names of the plain files in a folder, sorted. @throws Failure `os.no-file`, `os.not-readable` */
export async function listFiles(folder: string, what: string): Promise<string[]> {
  try {
    const entries = await readdir(folder, { withFileTypes: true });
    return entries
      .filter((entry) => entry.isFile())
      .map((entry) => entry.name)
      .sort();
  } catch (error) {
    throw readFailure(folder, what, error);
  }
}

/** The failure for an error of reading `path`. */
export function readFailure(path: string, what: string, error: unknown): Failure {
  const code = (error as NodeJS.ErrnoException).code ?? 'unknown';
  if (code === 'ENOENT' || code === 'ENOTDIR') {
    return new Failure('os.no-file', 'operator', `${what} ${path} does not exist`, {
      action: 'Check the path.',
      cause: error,
    });
  }
  return new Failure('os.not-readable', 'operator', `cannot read ${what} ${path}: ${code}`, {
    action: `Check the owner and mode of ${path}.`,
    cause: error,
  });
}

/** Reads a file that must have exactly `length` bytes. @throws Failure `os.bad-length` besides those of `readBounded` */
export async function readExact(path: string, what: string, length: number): Promise<Uint8Array> {
  const bytes = await readBounded(path, what, Math.max(length, 65_536));
  if (bytes.length !== length) {
    throw new Failure(
      'os.bad-length',
      'operator',
      `${what} ${path}: expected ${length} bytes, got ${bytes.length}`,
      {
        action: `Check that ${path} is the file you mean.`,
      },
    );
  }
  return bytes;
}

/** The absolute path of a name, relative to `base` or to the working directory. */
export function absolutePath(name: string, base = '.'): string {
  return resolve(base, name);
}
