import { HOST } from '../../access/scope.ts';
import type { Registry, RegistryOptions, RegistryReader } from '../registry.ts';
import { admitDevice } from '../sql/admit.ts';
import { type Read, readerOn } from '../sql/reader.ts';
import { registryOn, type Store } from '../sql/registry.ts';
import { appendAudit } from '../sql/trail/audit.ts';
import { keptHead, missingBeside } from '../sql/trail/kept-head.ts';
import { connect } from './connect.ts';
import { emptyDatabase, guarded, openDatabase } from './database.ts';
import { commitQueue } from './group-commit.ts';
import { MIGRATIONS, schemaVersion } from './schema.ts';

/** Opens the registry at `path`. @throws Failure see `openDatabase` */
export function openSqliteRegistry(path: string, options: RegistryOptions = {}): Registry {
  const { now = Date.now, onError = () => {} } = options;
  const db = openDatabase(path, { now: now() });
  const read: Read = (work) => guarded(path, work);
  const head = read(() => keptHead(db, path, onError));
  const store: Store = {
    ...{ db, read, head },
    writing(afterCommit) {
      const committed = (): void => {
        head.committed();
        afterCommit();
      };
      const queue = commitQueue(db, path, committed, undefined, options.commitEveryMs);
      return {
        queue,
        admitting:
          ({ act, options }) =>
          (applicant) =>
            queue.submitAllOrNothing(() => admitDevice(db, act(), applicant, options)),
      };
    },
    close: () => void db.close(),
  };
  return registryOn(store, options);
}

/** How long a read waits where it cannot read beside a writer: while a registry is repaired after a crash. */
const BUSY_TIMEOUT_MS = 2_000;

/**
 * Opens the registry at `path` to read beside the process that writes it; undefined if its schema is not the one that this program
 * knows. Reads no longer than a page at once, so that the log can be written back between two of them.
 * @throws Failure see `openDatabase`
 */
export function openSqliteReader(path: string): RegistryReader | undefined {
  const read: Read = (work) => guarded(path, work);
  const db = read(() => connect(path, { readonly: true, timeout: BUSY_TIMEOUT_MS }));
  try {
    if (read(() => schemaVersion(db)) === MIGRATIONS.length)
      return readerOn(db, read, { missing: () => missingBeside(db, path) });
  } catch (error) {
    db.close();
    throw error;
  }
  db.close();
  return undefined;
}

/** The content of a new registry file; its audit trail begins with the actor who made it. */
export function emptySqliteRegistry(actor: string, at: number): Uint8Array {
  return emptyDatabase(at, (db) =>
    appendAudit(db, { at, actor, owner: HOST, action: 'fabric.init', subject: 'registry' }),
  );
}
