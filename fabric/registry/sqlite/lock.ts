import { Failure, isFailure } from '../../../protocol/failure.ts';
import { connect } from './connect.ts';
import { guarded } from './database.ts';

/** How long the one before may take: a key and its certificate are made in less. */
const PATIENCE_MS = 5_000;

/** A lock that this process holds. */
export interface Held {
  release(): void;
}

/**
 * Holds the lock of the keys in a data folder, which one process at a time does; `path` is its file. The kernel releases it when the process ends,
 * however it does: SQLite locks the empty file, since Node.js cannot. Waits for the one before. @throws Failure `fabric.keys-busy`, `registry.not-writable`
 */
export function lockKeyFile(path: string): Held {
  try {
    return guarded(path, () => {
      const db = connect(path, { timeout: PATIENCE_MS });
      try {
        db.exec('BEGIN EXCLUSIVE');
      } catch (error) {
        db.close();
        throw error;
      }
      return { release: () => void db.close() };
    });
  } catch (error) {
    if (!isFailure(error, 'registry.locked')) throw error;
    throw new Failure('fabric.keys-busy', 'retry', 'another command changes the keys of this fabric', {
      action: 'Wait until it has ended, and try again.',
      cause: error,
    });
  }
}
