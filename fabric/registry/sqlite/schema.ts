import { Failure } from '../../../protocol/failure.ts';
import { type Database, prepare } from '../sql/base/statements.ts';
import type { SQLiteConnection } from './connect.ts';
import type { Migration } from './migration.ts';
import { MIGRATIONS_1 } from './migrations-1.ts';
import { MIGRATIONS_2 } from './migrations-2.ts';
import { MIGRATIONS_3 } from './migrations-3.ts';
import { MIGRATIONS_4 } from './migrations-4.ts';

/** All steps, in order: a registry's version is the number of those that it has seen. */
export const MIGRATIONS: readonly Migration[] = [
  ...MIGRATIONS_1,
  ...MIGRATIONS_2,
  ...MIGRATIONS_3,
  ...MIGRATIONS_4,
];

/**
 * Brings the schema up to date, each step in a transaction of its own together with its row in `migration`.
 * @throws Failure `registry.newer-schema` if a later version of the program wrote the file
 */
export function migrate(db: SQLiteConnection, now: number, steps: readonly Migration[] = MIGRATIONS): void {
  db.exec(
    'CREATE TABLE IF NOT EXISTS migration (version INTEGER PRIMARY KEY, name TEXT NOT NULL, applied INTEGER NOT NULL) STRICT',
  );
  // Read inside the write lock: two programs that start at once must not both apply a step.
  const applyNext = db.transaction((): boolean => {
    const version = schemaVersion(db);
    if (version > steps.length) throw newerSchema(version, steps.length);
    const step = steps[version];
    if (step === undefined) return false;
    db.exec(step.sql);
    prepare(db, 'INSERT INTO migration VALUES (?, ?, ?)').run(version + 1, step.name, now);
    // Also in the file's header, where the package's scripts can read it.
    db.exec(`PRAGMA user_version = ${version + 1}`);
    return true;
  });
  while (applyNext.immediate());
  // A file of a version that did not write it yet.
  if (prepare(db, 'PRAGMA user_version').pluck().get() !== steps.length)
    db.exec(`PRAGMA user_version = ${steps.length}`);
}

/** The number of migrations the file has seen. */
export function schemaVersion(db: Database): number {
  return (
    (prepare(db, 'SELECT max(version) AS version FROM migration').get() as { version: number | null })
      .version ?? 0
  );
}

/** A later version of the program wrote the file. */
export function newerSchema(version: number, known: number): Failure {
  return new Failure(
    'registry.newer-schema',
    'operator',
    `the registry has schema version ${version}, this program knows ${known}`,
    { action: 'Use the version of enf-fabric that wrote it, or restore the backup made before the upgrade.' },
  );
}
