import { closeSync, fdatasync, fdatasyncSync, openSync } from 'node:fs';
import { dirname } from 'node:path';
import { Failure } from '../../../protocol/failure.ts';

/** Flushes the write-ahead log of a registry: what was committed before a flush began is on the disk when it ends. */
export interface WalFile {
  /** Flushes in another thread, then calls back, with a Failure if it failed. One flush at a time. */
  flush(done: (failure?: Failure) => void): void;
  /** @throws Failure `registry.not-writable`, `os.disk-full` */
  flushNow(): void;
  /** Closes the file once a flush under way has ended. */
  close(): void;
}

/**
 * The log of the registry at `path`, opened at its first flush. SQLite locks nothing in this file, so that closing it releases no lock,
 * and it is the same file as long as a connection is open.
 */
export function walFile(path: string): WalFile {
  let descriptor: number | undefined;
  let flushing = false;
  let closing = false;

  function opened(): number {
    descriptor ??= openSync(`${path}-wal`, 'r');
    return descriptor;
  }

  function closeWhenIdle(): void {
    if (!closing || flushing || descriptor === undefined) return;
    closeSync(descriptor);
    descriptor = undefined;
  }

  return {
    flush(done) {
      try {
        fdatasync(opened(), (error) => {
          flushing = false;
          closeWhenIdle();
          done(error === null ? undefined : flushFailure(path, error));
        });
        flushing = true;
      } catch (error) {
        setImmediate(() => done(flushFailure(path, error)));
      }
    },
    flushNow() {
      try {
        fdatasyncSync(opened());
      } catch (error) {
        throw flushFailure(path, error);
      }
    },
    close() {
      closing = true;
      closeWhenIdle();
    },
  };
}

function flushFailure(path: string, cause: unknown): Failure {
  const { code = '' } = cause as NodeJS.ErrnoException;
  if (code === 'ENOSPC' || code === 'EDQUOT') {
    return new Failure('os.disk-full', 'retry', `cannot write ${path}: no space left (${code})`, {
      action: `Free space on the file system of ${dirname(path)}.`,
      cause,
    });
  }
  return new Failure('registry.not-writable', 'operator', `cannot flush ${path} to the disk (${code})`, {
    action: `Check the disk and the mount of ${dirname(path)}; the kernel's log says what failed.`,
    cause,
  });
}
