import { prepare } from '../../fabric/registry/sql/base/statements.ts';
import { connect } from '../../fabric/registry/sqlite/connect.ts';
import { toHex } from '../../protocol/bytes.ts';

const TABLES = ['device', 'handshake', 'handshake_day', 'audit', 'change', 'noted'];

/**
 * Counts the rows of the registry at `path` that are written from now on, whoever writes them; with an address only what is written into
 * that device's own row. Returns how to read the number.
 */
export function countWrites(path: string, address?: Uint8Array): () => number {
  const db = connect(path);
  db.exec('CREATE TABLE written (rows INTEGER NOT NULL); INSERT INTO written VALUES (0)');
  const count = (name: string, what: string): unknown =>
    db.exec(`CREATE TRIGGER ${name} AFTER ${what} BEGIN UPDATE written SET rows = rows + 1; END`);
  if (address !== undefined) {
    count('written_device', `UPDATE ON device WHEN NEW.address = x'${toHex(address)}'`);
  } else {
    for (const table of TABLES)
      for (const event of ['INSERT', 'UPDATE', 'DELETE'])
        count(`written_${table}_${event}`, `${event} ON ${table}`);
  }
  db.close();
  return () => {
    const reader = connect(path, { readonly: true });
    const { rows } = prepare(reader, 'SELECT rows FROM written').get() as { rows: number };
    reader.close();
    return rows;
  };
}
