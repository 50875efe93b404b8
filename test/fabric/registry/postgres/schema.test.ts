import { expect, test } from 'vitest';
import { decoder, encoded, translated } from '../../../../fabric/registry/postgres/dialect.ts';
import { SERVER_VERSION } from '../../../../fabric/registry/postgres/migrate.ts';
import { makeServerRegistry } from '../../../../fabric/registry/postgres/registry.ts';
import { prepare } from '../../../../fabric/registry/sql/base/statements.ts';
import { connect } from '../../../../fabric/registry/sqlite/connect.ts';
import { MIGRATIONS } from '../../../../fabric/registry/sqlite/schema.ts';
import { registryFile } from '../../place.ts';
import { ownServer } from './own-server.ts';

test('both engines have the same tables, columns and indexes, and the same version', async () => {
  const server = await ownServer();
  server.sql('postgres', 'CREATE DATABASE enf');
  await makeServerRegistry([server.url('enf')], 'test', 1_000);
  const sqlite = connect(registryFile());
  const own = "name NOT LIKE 'sqlite_%' AND name NOT LIKE 'device_text%'";
  const columns = prepare(
    sqlite,
    `SELECT t.name || '.' || c.name || CASE WHEN c."notnull" = 1 OR c.pk > 0 THEN ' not null' ELSE '' END FROM (SELECT name FROM sqlite_schema WHERE type = 'table' AND ${own}) AS t, pragma_table_info(t.name) AS c ORDER BY 1`,
  )
    .pluck()
    .all();
  const indexes = prepare(sqlite, `SELECT name FROM sqlite_schema WHERE type = 'index' AND ${own} ORDER BY 1`)
    .pluck()
    .all();
  sqlite.close();
  const there = (text: string): string[] =>
    server.sql('enf', `SELECT * FROM (${text}) AS found (it) ORDER BY it::text COLLATE "C"`).split('\n');
  expect(
    there(
      `SELECT table_name || '.' || column_name || CASE WHEN is_nullable = 'NO' THEN ' not null' ELSE '' END
       FROM information_schema.columns WHERE table_schema = 'enf' AND table_name NOT IN ('grantee', 'device_text')`,
    ),
  ).toEqual(columns);
  expect(
    there(
      `SELECT indexname FROM pg_indexes WHERE schemaname = 'enf' AND indexname NOT LIKE 'device\\_text%'
       AND indexname NOT LIKE '%\\_pkey' AND indexname NOT LIKE '%\\_key'`,
    ),
  ).toEqual(indexes);
  expect(SERVER_VERSION).toBe(MIGRATIONS.length);
  expect(there('SELECT max(version) FROM enf.migration')).toEqual([String(SERVER_VERSION)]);
});

test('a statement is put in words of the server, its strings are left alone', () => {
  expect(translated("SELECT ?, x'00ff', 'what? x''00''' FROM a NOT INDEXED WHERE b = ? AND both > 0")).toBe(
    `SELECT $1, '\\x00ff'::bytea, 'what? x''00''' FROM a  WHERE b = $2 AND "both" > 0`,
  );
  expect(translated('SELECT CAST(a AS BLOB) AS someName, max(id) FROM a INDEXED BY of_b')).toBe(
    'SELECT CAST(a AS bytea) AS "someName", max(id) FROM a ',
  );
});

test('values go as texts and come back as what they were', () => {
  expect([1.5, 'é', new Uint8Array([1, 255]).subarray(1), null, 12n].map(encoded)).toEqual([
    '1.5',
    'é',
    '\\xff',
    null,
    '12',
  ]);
  expect(() => encoded(undefined)).toThrow(TypeError);
  expect(() => encoded(true)).toThrow(TypeError);
  expect(decoder(20)('9007199254740991')).toBe(Number.MAX_SAFE_INTEGER);
  expect(decoder(17)('\\x01ff')).toEqual(Buffer.from([1, 255]));
  expect([decoder(16)('t'), decoder(16)('f'), decoder(25)('x')]).toEqual([1, 0, 'x']);
  expect(() => decoder(3_000)).toThrow('3000');
});
