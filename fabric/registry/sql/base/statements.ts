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

/** Keeps the statements of a connection. */
export function keep<Connection extends Pick<Database, 'prepare'>>(db: Connection): Connection {
  kept.set(db, new Map());
  return db;
}

/** `db.prepare`, but each statement is parsed once for a connection: what every handshake runs. */
export function prepare(db: Pick<Database, 'prepare'>, sql: string): Statement {
  const statements = kept.get(db);
  if (statements === undefined) throw new Error('a connection that nobody keeps');
  const known = statements.get(sql);
  if (known !== undefined) return known;
  const statement = db.prepare(sql);
  statements.set(sql, statement);
  return statement;
}

/** A BLOB column as plain bytes (the driver hands out Buffers). */
export function bytes(blob: Uint8Array): Uint8Array {
  return new Uint8Array(blob);
}
