import { Failure } from '../../../protocol/failure.ts';
import type { RegistrySummary } from '../records.ts';
import { type Database, prepare } from '../sql/base/statements.ts';
import { auditHead, verifyAudit } from '../sql/trail/audit.ts';
import { headFile, keptHead } from '../sql/trail/kept-head.ts';
import { connect, type SQLiteConnection } from './connect.ts';
import { copyBeforeUpgrade, guarded, requireFile } from './database.ts';
import { MIGRATIONS, newerSchema, schemaVersion } from './schema.ts';

/** The files of a registry: they count together, so that none of them is copied by itself. */
export const registryFiles = (path: string): readonly string[] => [
  path,
  `${path}-wal`,
  `${path}-shm`,
  headFile(path),
  copyBeforeUpgrade(path),
];

/**
 * Writes all that is committed to a new file, also while a fabric serves: from one read transaction, which makes no writer wait.
 * @throws Failure `audit.behind`, and those of `openDatabase`
 */
export function copyDatabase(path: string, to: string): void {
  requireFile(path);
  guarded(path, () =>
    withDatabase(path, (db) => {
      const lost = keptHead(db, path, () => {}).missing();
      if (lost !== undefined) throw lost;
      prepare(db, 'VACUUM INTO ?').run(to);
    }),
  );
}

/**
 * Checks a registry file that nobody else uses: its pages and references, its audit trail, and that this program knows its schema.
 * @throws Failure `registry.corrupt`, `registry.newer-schema`, `audit.broken`
 */
export async function checkDatabase(path: string): Promise<RegistrySummary> {
  requireFile(path);
  const db = guarded(path, () => connect(path, { readonly: true }));
  try {
    guarded(path, () => checkPages(db, path));
    await verifyAudit(db, (work) => guarded(path, work));
    return guarded(path, () => summaryOf(db));
  } finally {
    db.close();
  }
}

function withDatabase<T>(path: string, work: (db: SQLiteConnection) => T): T {
  const db = connect(path, { timeout: 2_000 });
  try {
    return work(db);
  } finally {
    db.close();
  }
}

function checkPages(db: Database, path: string): void {
  const found = prepare(db, 'PRAGMA integrity_check(1)').pluck().all() as string[];
  const dangling = prepare(db, 'PRAGMA foreign_key_check').all().length;
  if (found[0] !== 'ok' || dangling > 0) {
    throw new Failure(
      'registry.corrupt',
      'operator',
      `${path} is damaged: ${found[0]}, ${dangling} dangling`,
      {
        action: 'Restore a backup; keep the damaged file for analysis.',
      },
    );
  }
  const version = schemaVersion(db);
  if (version > MIGRATIONS.length) throw newerSchema(version, MIGRATIONS.length);
}

function summaryOf(db: Database): RegistrySummary {
  const count = (table: string): number =>
    prepare(db, `SELECT count(*) FROM ${table}`).pluck().get() as number;
  return {
    head: auditHead(db),
    networks: count('network'),
    groups: count('grp'),
    devices: count('device'),
  };
}
