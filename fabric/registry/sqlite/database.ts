import { closeSync, existsSync, fsyncSync, openSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import SQLite from 'better-sqlite3';
import { isOtherRunning } from '../../../os/files/private-folder.ts';
import { Failure } from '../../../protocol/failure.ts';
import { bytes, prepare } from '../sql/base/statements.ts';
import { connect, type SQLiteConnection } from './connect.ts';
import type { Migration } from './migration.ts';
import { MIGRATIONS, migrate, schemaVersion } from './schema.ts';

/** How long opening waits for another process's transaction before it fails. */
const OPEN_TIMEOUT_MS = 2_000;
/** How long any other access waits, which stops the event loop: whoever writes tries again later (group-commit.ts). */
const BUSY_TIMEOUT_MS = 5;

/** Pages that the process keeps. */
const CACHE_KB = 16_384;
/** Of 4 KB: the log is copied into the file when it has so many. */
const LOG_PAGES = 2_000;

/**
 * Opens the registry file and brings its schema up to date. Every commit is on the disk when it returns
 * (WAL with synchronous=FULL: an identity must survive a power cut once the device has it). Before the schema changes, all that is committed is
 * copied to `copyBeforeUpgrade(path)`, in place of the copy of an earlier upgrade.
 * @throws Failure `registry.absent`, `registry.corrupt`, `registry.locked`, `registry.not-writable`,
 *   `registry.newer-schema`, `os.disk-full`
 */
export function openDatabase(
  path: string,
  options: { now?: number; steps?: readonly Migration[] } = {},
): SQLiteConnection {
  requireFile(path);
  return guarded(path, () => {
    const db = connect(path, { timeout: OPEN_TIMEOUT_MS });
    try {
      db.exec('PRAGMA journal_mode = WAL');
      db.exec('PRAGMA synchronous = FULL');
      db.exec('PRAGMA foreign_keys = ON');
      db.exec('PRAGMA trusted_schema = OFF');
      // What was deleted, or written over by something shorter, is not in the file any more: addresses, hashes of invites and codes.
      db.exec('PRAGMA secure_delete = ON');
      const steps = options.steps ?? MIGRATIONS;
      if (isOlder(db, steps)) keepCopy(db, path);
      migrate(db, options.now ?? Date.now(), steps);
      // What a savepoint may have to undo: some 20 pages for a handshake, which would be written into a temporary file.
      db.exec('PRAGMA temp_store = MEMORY');
      // An admission writes three pages at random: at a few ten thousand devices they are read again and again with a smaller cache, and
      // copied out of the log again and again with a shorter one.
      db.exec(`PRAGMA cache_size = -${CACHE_KB}`);
      db.exec(`PRAGMA wal_autocheckpoint = ${LOG_PAGES}`);
      db.exec(`PRAGMA busy_timeout = ${BUSY_TIMEOUT_MS}`);
      return db;
    } catch (error) {
      db.close();
      throw error;
    }
  });
}

/** Where the registry is kept as it was before its schema changed the last time. */
export const copyBeforeUpgrade = (path: string): string => `${path}-before-upgrade`;

/** It holds something, and not all steps were applied to it. */
function isOlder(db: SQLiteConnection, steps: readonly Migration[]): boolean {
  const known = prepare(db, "SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = 'migration'").get();
  return known !== undefined && schemaVersion(db) > 0 && schemaVersion(db) < steps.length;
}

/** Complete and on the disk, or the schema stays as it is. */
function keepCopy(db: SQLiteConnection, path: string): void {
  const target = copyBeforeUpgrade(path);
  removeLeftovers(target);
  const temp = `${target}-${process.pid}.tmp`;
  try {
    // SQLite writes into an empty file, which is private before there is anything in it.
    const file = openSync(temp, 'wx', 0o600);
    try {
      prepare(db, 'VACUUM INTO ?').run(temp);
      fsyncSync(file);
    } finally {
      closeSync(file);
    }
    renameSync(temp, target);
  } finally {
    rmSync(temp, { force: true });
  }
}

/** What processes that were killed while they copied have left: each is as large as the registry. */
function removeLeftovers(target: string): void {
  const folder = dirname(target);
  for (const name of readdirSync(folder)) {
    const pid = name.startsWith(`${basename(target)}-`) ? /-(\d+)\.tmp$/.exec(name)?.[1] : undefined;
    if (pid !== undefined && !isOtherRunning(Number(pid))) rmSync(join(folder, name));
  }
}

/** @throws Failure `registry.absent` */
export function requireFile(path: string): void {
  if (existsSync(path)) return;
  throw new Failure('registry.absent', 'operator', `there is no registry at ${path}`, {
    action: 'Run "enf-fabric init" first, or name the data folder with --data.',
  });
}

/** The bytes of a new registry file, with what `begin` writes into it. */
export function emptyDatabase(now: number, begin: (db: SQLiteConnection) => void): Uint8Array {
  const db = connect(':memory:');
  try {
    migrate(db, now);
    begin(db);
    return bytes(db.serialize());
  } finally {
    db.close();
  }
}

/** Runs `work` and turns errors of SQLite into a Failure; other errors pass through. */
export function guarded<T>(path: string, work: () => T): T {
  try {
    return work();
  } catch (error) {
    throw sqliteFailure(path, error);
  }
}

function sqliteFailure(path: string, error: unknown): unknown {
  const code = error instanceof SQLite.SqliteError ? error.code : '';
  if (code.startsWith('SQLITE_BUSY') || code.startsWith('SQLITE_LOCKED')) {
    return new Failure(
      'registry.locked',
      'retry',
      `another program has locked the registry ${path} (${code})`,
      {
        action:
          'Try again; if it lasts, find the program with "fuser". "enf-fabric registry move" holds it until it has ended.',
        cause: error,
      },
    );
  }
  if (code === 'SQLITE_FULL') {
    return new Failure('os.disk-full', 'retry', `cannot write ${path}: no space left (${code})`, {
      action: `Free space on the file system of ${dirname(path)}.`,
      cause: error,
    });
  }
  if (code.startsWith('SQLITE_CORRUPT') || code === 'SQLITE_NOTADB') {
    return new Failure('registry.corrupt', 'operator', `${path} is damaged or not a registry (${code})`, {
      action: 'Restore it from a backup; keep the damaged file for analysis.',
      cause: error,
    });
  }
  if (/^SQLITE_(READONLY|CANTOPEN|PERM|IOERR|AUTH)/.test(code)) {
    return new Failure('registry.not-writable', 'operator', `cannot open or write ${path} (${code})`, {
      action: `Check owner, mode and mount of ${dirname(path)}; the registry needs write access to the folder, too.`,
      cause: error,
    });
  }
  return error;
}
