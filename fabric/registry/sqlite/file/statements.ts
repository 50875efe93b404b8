import SQLite, { type Options, type Database as SQLiteDatabase } from 'better-sqlite3';
import { assetPath } from '../../../../os/files/asset.ts';
import { Failure } from '../../../../protocol/failure.ts';

/** A statement of any engine, which answers before it returns. Values are numbers, texts, bytes or null; `?` stands for each of them in order. */
export interface Statement {
  /** The first row; undefined if there is none. */
  get(...values: unknown[]): unknown;
  all(...values: unknown[]): unknown[];
  /** How many rows were written. */
  run(...values: unknown[]): { readonly changes: number };
  /** Rows are their first column from now on. */
  pluck(): Statement;
  /** Rows are arrays from now on. */
  raw(): Statement;
}

/** A connection of any engine: all that the registry's own code knows of it. */
export interface Database {
  /** False once it is closed. */
  readonly open: boolean;
  readonly engine: Engine;
  prepare(sql: string): Statement;
  /** Makes of `work` what reads everything as it was at one moment. */
  transaction<T>(work: () => T): () => T;
}

/** The few statements that are not the same for both say which they are for. */
export type Engine = 'sqlite' | 'postgres';

/**
 * Connections and statements, kept as long as the process lives: from Node 24.19 on the process is aborted when one of SQLite's driver is
 * collected outside of JavaScript (nodejs/node#65446), while it runs or when it exits. So both are made here only: nothing else in this folder
 * calls `prepare`, `pragma` or `iterate` of the driver, which would leave objects to be collected; settings are made with `exec`.
 */
const kept = new Map<Pick<Database, 'prepare'>, Map<string, Statement>>();

/** A connection of SQLite's driver, which says what it is. */
export type SQLiteConnection = SQLiteDatabase & { readonly engine: 'sqlite' };

export function connect(path: string, options?: Options): SQLiteConnection {
  const db = new SQLite(path, { nativeBinding: driver(), ...options });
  return keep(Object.assign(db, { engine: 'sqlite' as const }));
}

/** Keeps the statements of a connection. */
export function keep<Connection extends Pick<Database, 'prepare'>>(db: Connection): Connection {
  kept.set(db, new Map());
  return db;
}

/** The driver's native part, which belongs to one major version of Node.js. @throws Failure `registry.no-driver` */
function driver(): string {
  try {
    return assetPath(
      import.meta.url,
      `better_sqlite3-${process.versions.modules}.node`,
      'better-sqlite3/build/Release/better_sqlite3.node',
    );
  } catch (error) {
    throw new Failure(
      'registry.no-driver',
      'operator',
      `this installation has no database driver for Node.js ${process.version}`,
      { action: 'Install the major version of Node.js that the package depends on.', cause: error },
    );
  }
}

/** `db.prepare`, but each statement is parsed once for a connection: what every handshake runs. */
export function prepare(db: Pick<Database, 'prepare'>, sql: string): Statement {
  const statements = kept.get(db);
  if (statements === undefined) throw new Error('a connection that nobody keeps');
  const statement = statements.get(sql) ?? db.prepare(sql);
  statements.set(sql, statement);
  return statement;
}
