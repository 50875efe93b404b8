import { closeSync, openSync, writeFileSync } from 'node:fs';
import { equal } from '../../../protocol/bytes.ts';
import { Failure } from '../../../protocol/failure.ts';
import type { RegistrySummary } from '../records.ts';
import { type Database, prepare } from '../sql/base/statements.ts';
import { auditHead, verifyAudit } from '../sql/trail/audit.ts';
import { connect, type SQLiteConnection } from '../sqlite/connect.ts';
import { emptyDatabase, guarded, openDatabase } from '../sqlite/database.ts';
import { type ServerDatabase, serverDatabase } from './connection.ts';
import { copyTable, type Side, tablesOf } from './copy.ts';
import { StatementError, unreachable } from './failures.ts';
import { type Link, openLink } from './link.ts';
import { finishSchema, MOVE_KEY, makeUnfinishedSchema } from './migrate.ts';
import { readKnown } from './server-head.ts';

/** What is told while a registry is copied. */
export interface CopyProgress {
  /** A table is copied; `rows` counts its rows, which takes a while where there are many. */
  table(name: string, rows: () => number): void;
  copied(rows: number): void;
  verifying(): void;
}

/** Rows that were the same there already, as after a move that was interrupted, are not written again. */
export interface Moved extends RegistrySummary {
  readonly rows: number;
  readonly written: number;
}

/**
 * Copies the registry file at `path` to the servers of `urls`, which have none, or an unfinished copy of it; it is one once everything is there and
 * the trail was recomputed there. Nobody changes the file meanwhile, nor while `finishing` is done, which is called right before. @throws Failure `registry.exists`, `registry.locked`, `audit.broken`, and those of both
 */
export async function moveToServers(
  path: string,
  urls: readonly string[],
  now: number,
  { progress, finishing }: { readonly progress: CopyProgress; readonly finishing: () => Promise<void> },
): Promise<Moved> {
  const from = openDatabase(path, { now });
  const lock = guarded(path, () => connect(path, { timeout: 2_000 }));
  const link = openLink(urls);
  try {
    guarded(path, () => lock.exec('BEGIN IMMEDIATE'));
    const turn = takeTurn(link);
    const isNew = makeUnfinishedSchema(link, now);
    const db = serverDatabase(link);
    const to: Side = { db, write: (work) => writeOn(link, db, turn, work) };
    const counted = await copyAll(from, to, from, progress).catch((error: unknown) => {
      if (isNew || !(error instanceof StatementError)) throw error;
      // It has changed since the copy was interrupted, in what others refer to or what is never changed: it is begun anew.
      emptyTables(to, from);
      return copyAll(from, to, from, progress);
    });
    progress.verifying();
    const { head } = await verifyAudit(db, (work) => work());
    const expected = auditHead(from);
    if (!equal(head, expected.hash)) throw differs();
    continueNumbers(link, from);
    // While nobody can change the file: who opens the registry afterwards finds the one on the servers.
    await finishing();
    requireTurn(link, turn);
    finishSchema(link, now);
    return { ...counted, ...summaryOf(from) };
  } finally {
    link.close();
    lock.close();
    from.close();
  }
}

/** Writes all that the registry on the servers of `urls`, which the file `path` names, has at one moment into a new registry file. @throws Failure `registry.absent`, and those of the server and of writing */
export async function copyFromServers(
  { urls, path }: { readonly urls: readonly string[]; readonly path: string },
  to: string,
  progress: CopyProgress,
): Promise<void> {
  closeSync(openSync(to, 'wx', 0o600));
  writeFileSync(
    to,
    emptyDatabase(Date.now(), () => {}),
  );
  const file = openDatabase(to);
  const link = openLink(urls, { known: readKnown(path) });
  try {
    const db = serverDatabase(link);
    db.asOfNow();
    const write = (work: () => void): void => guarded(to, () => file.transaction(work).immediate());
    await copyAll(db, { db: file, write }, file, progress);
  } finally {
    link.close();
    file.close();
  }
}

async function copyAll(
  from: Database,
  to: Side,
  sqlite: SQLiteConnection,
  progress: CopyProgress,
): Promise<{ rows: number; written: number }> {
  let rows = 0;
  let written = 0;
  for (const table of tablesOf(sqlite)) {
    progress.table(table.name, () => countOf(from, table.name));
    const done = await copyTable(from, to, table, progress.copied);
    rows += done.rows;
    written += done.written;
  }
  return { rows, written };
}

/** What the server calls a connection. */
type Turn = string | null | undefined;

/**
 * Nobody else moves a registry into this database until the connection ends: rows of two would be mixed. Returns which connection that is.
 * @throws Failure `registry.locked`
 */
function takeTurn(link: Link): Turn {
  const { rows } = link.ask('write', {
    sql: `SELECT pg_try_advisory_lock(${MOVE_KEY}), pg_backend_pid()`,
  });
  const [taken, turn] = rows[0]!;
  if (taken === 't') return turn;
  throw new Failure('registry.locked', 'retry', 'somebody else moves a registry into this database', {
    action: 'Wait until that has ended, or name another database.',
  });
}

/** @throws Failure `registry.unreachable` once the connection was lost: somebody else may have the turn since. */
function requireTurn(link: Link, turn: Turn, transaction?: number): void {
  const { rows } = link.ask('write', {
    sql: 'SELECT pg_backend_pid()',
    ...(transaction !== undefined && { transaction }),
  });
  if (rows[0]?.[0] !== turn)
    throw unreachable('the connection ended while a registry was moved; the same command goes on');
}

let transactions = 0;

function writeOn(link: Link, db: ServerDatabase, turn: Turn, work: () => void): void {
  const number = ++transactions;
  link.ask('write', { sql: 'BEGIN', begins: number });
  try {
    requireTurn(link, turn, number);
    db.within(number, work);
  } catch (error) {
    link.send('write', { sql: 'ROLLBACK', transaction: number }).catch(() => {});
    throw error;
  }
  link.ask('write', { sql: 'COMMIT', transaction: number });
}

/** All at once: row by row neither references nor triggers would let them go. What the server keeps of devices by itself goes with them. */
function emptyTables(to: Side, sqlite: SQLiteConnection): void {
  const names = [...tablesOf(sqlite).map(({ name }) => name), 'device_text'];
  to.write(() => prepare(to.db, `TRUNCATE ${names.join(', ')}`).run());
}

/** Numbers go on where SQLite's would have: those that were given are not given again, also if their rows are gone. */
function continueNumbers(link: Link, sqlite: SQLiteConnection): void {
  const given = new Map(
    (prepare(sqlite, 'SELECT name, seq FROM sqlite_sequence').all() as { name: string; seq: number }[]).map(
      ({ name, seq }) => [name, seq],
    ),
  );
  for (const { name, key } of tablesOf(sqlite)) {
    if (key.length !== 1 || key[0] !== 'id') continue;
    const newest = prepare(sqlite, `SELECT max(id) FROM ${name}`).pluck().get() as number | null;
    const last = Math.max(newest ?? 0, given.get(name) ?? 0);
    if (last > 0)
      link.ask('write', { sql: `SELECT setval(pg_get_serial_sequence('enf.${name}', 'id'), ${last})` });
  }
}

const countOf = (db: Database, table: string): number =>
  prepare(db, `SELECT count(*) FROM ${table}`).pluck().get() as number;

function summaryOf(db: Database): RegistrySummary {
  const count = (table: string): number => countOf(db, table);
  return { head: auditHead(db), networks: count('network'), groups: count('grp'), devices: count('device') };
}

const differs = (): Failure =>
  new Failure(
    'audit.broken',
    'operator',
    "the copy's audit trail ends with another entry than the registry's",
    {
      action: 'Name a database that nobody else has written to.',
    },
  );
