import SQLite, { type Database, type Options, type Statement } from 'better-sqlite3';
import { assetPath } from '../../../../os/files/asset.ts';
import { Failure } from '../../../../protocol/failure.ts';

/**
 * The driver's objects, connections and statements, kept as long as the process lives: from Node 24.19 on the process is aborted when one is
 * collected outside of JavaScript (nodejs/node#65446), while it runs or when it exits. So both are made here only: nothing else in this folder
 * calls `prepare`, `pragma` or `iterate` of the driver, which would leave objects to be collected; settings are made with `exec`.
 */
const kept = new Map<Database, Map<string, Statement>>();

export function connect(path: string, options?: Options): Database {
  const db = new SQLite(path, { nativeBinding: driver(), ...options });
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
export function prepare(db: Database, sql: string): Statement {
  const statements = kept.get(db);
  if (statements === undefined) throw new Error('a connection that connect() has not made');
  const statement = statements.get(sql) ?? db.prepare(sql);
  statements.set(sql, statement);
  return statement;
}
