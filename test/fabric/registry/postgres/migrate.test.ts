import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { SERVER_VERSION } from '../../../../fabric/registry/postgres/migrate.ts';
import { migrateServers, openServerRegistry } from '../../../../fabric/registry/postgres/registry.ts';
import { STEPS } from '../../../../fabric/registry/postgres/schema/steps.ts';
import { scratch } from '../../place.ts';
import { formerDatabase, stepsBefore, withSteps } from './former.ts';
import { registriesOfFile } from './registries.ts';
import { commandOf } from './server.ts';

const made = registriesOfFile();

/** Before this one a step adds columns to `device`, which nobody may use meanwhile. */
const TEXTS = 'texts of devices have rows of their own';
const COLUMNS = 'clones at several nodes';

const newest = (name: string): string =>
  made.server.sql(name, 'SELECT name FROM enf.migration ORDER BY version DESC LIMIT 1');

/** Devices 1 to 4, of which the last one has no name. */
const DEVICES = `SET search_path = enf; SET session_replication_role = replica;
  INSERT INTO device (gid, pseudonym, address, longterm_key, created, handshake_at, handshake_from, name)
  SELECT decode(repeat('00', 32), 'hex'), decode(lpad(n::text, 130, '0'), 'hex'), decode(lpad(n::text, 32, '0'), 'hex'), decode(repeat('00', 65), 'hex'), 1, 1, '', nullif('Pump ' || n, 'Pump 4')
  FROM generate_series(1, 4) AS n`;

/** What is written when texts are collected is waited for by whoever holds lock 7: by nodes alone, not by others who write devices. */
const WAITING = `SET search_path = enf;
  CREATE OR REPLACE FUNCTION described(text, text) RETURNS text LANGUAGE plpgsql IMMUTABLE SET lock_timeout = 0 AS $$
  BEGIN
    IF current_setting('application_name') = 'enf-fabric write' THEN PERFORM pg_advisory_xact_lock(7); END IF;
    RETURN lower((coalesce($1, '') || chr(10) || coalesce($2, '')) COLLATE "und-x-icu");
  END $$`;

/** Holds lock 7 until somebody waits for it, and has read and written devices meanwhile. */
const MEANWHILE = `SET search_path = enf; SET lock_timeout = '2s';
  SELECT pg_advisory_lock(7);
  \\echo ready
  DO $$ BEGIN
    WHILE NOT EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory' AND objid = 7 AND NOT granted) LOOP PERFORM pg_sleep(0.01); END LOOP;
  END $$;
  SELECT count(*) || ' devices' FROM device;
  SET session_replication_role = replica;
  UPDATE device SET name = 'Valve' WHERE name = 'Pump 1';
  UPDATE device SET name = NULL WHERE name = 'Pump 2';
  UPDATE device SET note = 'Door' WHERE name IS NULL AND id = (SELECT max(id) FROM device);
  \\echo written
`;

test('devices are read and written while their texts are collected, and what is written then is found, too', async () => {
  const name = await formerDatabase(made, COLUMNS);
  made.server.sql(name, DEVICES);
  made.server.sql(name, WAITING);
  const [command, ...before] = commandOf('psql');
  const argv = ['-h', made.server.folder, '-U', 'enf', '-d', name, '-v', 'ON_ERROR_STOP=1', '-qAt'];
  const other = spawn(command!, [...before, ...argv], { stdio: ['pipe', 'pipe', 'inherit'], cwd: '/' });
  other.stdin.end(MEANWHILE);
  let said = '';
  const ended = once(other, 'exit');
  await new Promise<void>((resolve) =>
    other.stdout.on('data', (bytes) => {
      said += bytes;
      if (said.includes('ready')) resolve();
    }),
  );
  migrateServers([made.server.url(name)], 1);
  expect(await ended).toEqual([0, null]);
  expect(said.split('\n').slice(-4)).toEqual(['ready', '4 devices', 'written', '']);
  expect(
    made.server.sql(name, "SELECT id || ' ' || replace(text, chr(10), '|') FROM enf.device_text ORDER BY id"),
  ).toBe('1 valve|\n3 pump 3|\n4 |door');
});

test('what was done before a step failed stays, and the next attempt goes on there', async () => {
  const name = await formerDatabase(made, COLUMNS);
  made.server.sql(name, 'CREATE TABLE enf.device_text_trigrams ()');
  expect(() => migrateServers([made.server.url(name)], 1)).toThrow('already exists');
  expect(newest(name)).toBe(COLUMNS);
  expect(made.server.sql(name, "SELECT to_regclass('enf.device_text_former') IS NULL")).toBe('t');
  made.server.sql(name, 'DROP TABLE enf.device_text_trigrams');
  const former = Number(made.server.sql(name, `SELECT version FROM enf.migration WHERE name = '${COLUMNS}'`));
  expect(migrateServers([made.server.url(name)], 1)).toEqual({
    before: former,
    version: SERVER_VERSION,
    roles: {},
  });
  expect(made.server.sql(name, `SELECT count(*) FROM enf.migration WHERE name = '${TEXTS}'`)).toBe('1');
});

test('roles write texts of devices from the moment on that triggers do, whatever becomes of later steps', async () => {
  const name = await formerDatabase(made, TEXTS);
  made.server.sql('postgres', 'CREATE ROLE enf_names LOGIN');
  made.server.sql(name, "INSERT INTO enf.grantee VALUES ('console', 'enf_names'), ('identity', 'gone')");
  const texts = STEPS.find((step) => step.name === TEXTS)!;
  const later = await withSteps([...stepsBefore(TEXTS), texts, { name: 'fails', sql: 'SELECT 1 / 0' }]);
  expect(() => later.migrateServers([made.server.url(name)], 1)).toThrow('division by zero');
  expect(newest(name)).toBe(TEXTS);
  const may = (right: string): string =>
    made.server.sql(name, `SELECT has_table_privilege('enf_names', 'enf.device_text', '${right}')`);
  expect(['SELECT', 'INSERT', 'UPDATE', 'DELETE', 'TRUNCATE'].map(may)).toEqual(['t', 't', 't', 't', 'f']);
});

test('a host notes which schema it has used, not one that it may not use, and not before it is there', async () => {
  const name = await formerDatabase(made, TEXTS);
  const path = join(scratch(), 'registry.url');
  writeFileSync(path, '', { mode: 0o600 });
  const note = `${path}-schema`;
  const failures: unknown[] = [];
  const open = (): Promise<void> =>
    openServerRegistry([made.server.url(name)], path, { onError: (error) => failures.push(error) }).close();
  made.server.sql(name, 'CREATE TABLE enf.device_text_trigrams ()');
  expect(open).toThrow('already exists');
  expect(existsSync(note)).toBe(false);
  made.server.sql(name, 'DROP TABLE enf.device_text_trigrams');
  await open();
  expect(readFileSync(note, 'utf8')).toBe(`${SERVER_VERSION}\n`);
  const { mode, ino } = statSync(note);
  expect(mode & 0o777).toBe(0o600);
  await open();
  expect(statSync(note).ino).toBe(ino);
  // As a later version would.
  made.server.sql(name, `INSERT INTO enf.migration VALUES (${SERVER_VERSION + 1}, 'later', 1)`);
  expect(open).toThrow(expect.objectContaining({ code: 'registry.newer-schema' }));
  expect(readFileSync(note, 'utf8')).toBe(`${SERVER_VERSION}\n`);
  expect(failures).toEqual([]);
});
