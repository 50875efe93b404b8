import SQLite, { type Options, type Database as SQLiteDatabase } from 'better-sqlite3';
import { assetPath } from '../../../os/files/asset.ts';
import { Failure } from '../../../protocol/failure.ts';
import { keep } from '../sql/base/statements.ts';

/** A connection of SQLite's driver, which says what it is. */
export type SQLiteConnection = SQLiteDatabase & { readonly engine: 'sqlite' };

export function connect(path: string, options?: Options): SQLiteConnection {
  const db = new SQLite(path, { nativeBinding: driver(), ...options });
  return keep(Object.assign(db, { engine: 'sqlite' as const }));
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
