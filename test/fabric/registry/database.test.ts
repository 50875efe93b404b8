import { chmodSync, readFileSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import SQLite from 'better-sqlite3';
import { describe, expect, test } from 'vitest';
import { openDatabase } from '../../../fabric/registry/database.ts';
import { commitQueue } from '../../../fabric/registry/queue.ts';
import { MIGRATIONS, migrate, schemaVersion } from '../../../fabric/registry/schema.ts';
import { anyGroup, NETWORK, opened, random, registryFile, scratch } from '../place.ts';

const tables = (path: string): unknown[] => {
  const db = new SQLite(path, { readonly: true });
  const rows = db.prepare('SELECT name, sql FROM sqlite_schema ORDER BY name').all();
  db.close();
  return rows;
};

describe('migrations', () => {
  test('an empty file and one of version 1 end with the same schema', () => {
    const folder = scratch();
    const [empty, old] = [join(folder, 'empty.db'), join(folder, 'old.db')];
    writeFileSync(empty, '');
    writeFileSync(old, '');
    openDatabase(old, { steps: MIGRATIONS.slice(0, 1) }).close();
    openDatabase(empty).close();
    expect(tables(old)).not.toEqual(tables(empty));
    const db = openDatabase(old);
    expect(schemaVersion(db)).toBe(MIGRATIONS.length);
    db.close();
    expect(tables(old)).toEqual(tables(empty));
  });

  test('a file of version 1 keeps its devices', () => {
    const path = join(scratch(), 'old.db');
    writeFileSync(path, '');
    const db = openDatabase(path, { steps: MIGRATIONS.slice(0, 1) });
    const [gid, pseudonym, address, key] = [random(32), random(65), random(16), random(65)];
    db.prepare("INSERT INTO network VALUES (1, ?, 'n', ?, 1)").run(NETWORK.address, random(32));
    db.prepare("INSERT INTO grp VALUES (?, ?, ?, 'g', 1, 'active', NULL, 1)").run(
      gid,
      random(258),
      random(4),
    );
    db.prepare("INSERT INTO device VALUES (1, ?, ?, ?, ?, 0, 0, 1, 2, 'from')").run(
      gid,
      pseudonym,
      address,
      key,
    );
    db.close();
    expect(opened(path).device(address)).toMatchObject({ pseudonym, longtermKey: key, standing: 'active' });
  });

  test('a step that fails leaves the version before it', () => {
    const path = join(scratch(), 'half.db');
    writeFileSync(path, '');
    const broken = [...MIGRATIONS, { name: 'broken', sql: 'CREATE TABLE half (x); SELECT nonsense;' }];
    expect(() => openDatabase(path, { steps: broken })).toThrow(/nonsense/);
    const db = openDatabase(path);
    expect(schemaVersion(db)).toBe(MIGRATIONS.length);
    expect(db.prepare("SELECT count(*) AS n FROM sqlite_schema WHERE name = 'half'").get()).toEqual({ n: 0 });
    db.close();
  });

  test('a newer file is left alone', () => {
    const path = registryFile();
    const db = new SQLite(path);
    migrate(db, 1, [...MIGRATIONS, { name: 'future', sql: 'CREATE TABLE future (x)' }]);
    db.close();
    expect(() => openDatabase(path)).toThrow(expect.objectContaining({ code: 'registry.newer-schema' }));
  });
});

describe('the file', () => {
  test('every commit is on the disk, and rows keep to their references', () => {
    const db = openDatabase(registryFile());
    expect(db.pragma('journal_mode', { simple: true })).toBe('wal');
    expect(db.pragma('synchronous', { simple: true })).toBe(2); // FULL
    expect(db.pragma('foreign_keys', { simple: true })).toBe(1);
    expect(() =>
      db
        .prepare("INSERT INTO grp VALUES (?, ?, ?, 'g', 77, 'active', NULL, 1)")
        .run(random(32), random(258), random(4)),
    ).toThrow(/FOREIGN KEY/);
    db.close();
  });

  test('absent, damaged and locked files have their names', () => {
    const folder = scratch();
    expect(() => openDatabase(join(folder, 'none.db'))).toThrow(
      expect.objectContaining({ code: 'registry.absent' }),
    );
    const garbage = join(folder, 'garbage.db');
    writeFileSync(garbage, random(8192));
    expect(() => openDatabase(garbage)).toThrow(expect.objectContaining({ code: 'registry.corrupt' }));
    const cut = join(folder, 'cut.db');
    writeFileSync(cut, readFileSync(registryFile()));
    truncateSync(cut, 9_000);
    expect(() => {
      opened(cut).groups();
    }).toThrow(expect.objectContaining({ code: 'registry.corrupt' }));
    const readonly = registryFile();
    chmodSync(readonly, 0o400);
    const holder = openDatabase(readonly);
    holder.exec('BEGIN IMMEDIATE');
    expect(() => openDatabase(readonly)).toThrow(expect.objectContaining({ code: 'registry.locked' }));
    holder.close();
  });
});

describe('group commit', () => {
  test('answers after the commit, jobs that throw are undone alone', async () => {
    const path = registryFile();
    const db = openDatabase(path);
    const other = new SQLite(path, { readonly: true });
    const count = (from: typeof db): unknown => from.prepare('SELECT count(*) AS n FROM handshake').get();
    const insert = (): void => {
      db.exec("INSERT INTO handshake (at, source, proven, result) VALUES (1, 's', 0, 'r')");
    };
    let commits = 0;
    const queue = commitQueue(db, path, () => commits++);
    const results = await Promise.allSettled([
      queue.submit(() => insert()).then(() => count(other)),
      queue.submit(() => {
        insert();
        throw new Error('refused');
      }),
      queue.submit(() => insert()).then(() => count(other)),
    ]);
    expect(results).toEqual([
      { status: 'fulfilled', value: { n: 2 } },
      { status: 'rejected', reason: new Error('refused') },
      { status: 'fulfilled', value: { n: 2 } },
    ]);
    expect(commits).toBe(1);
    other.close();
    db.close();
  });

  test('if the commit fails nobody is told it succeeded', async () => {
    const path = registryFile();
    const db = openDatabase(path);
    const queue = commitQueue(db, path, () => {});
    const good = queue.submit(() =>
      db.exec("INSERT INTO handshake (at, source, proven, result) VALUES (1, 's', 0, 'r')"),
    );
    const fatal = queue.submit(() => db.exec('INSERT INTO nowhere VALUES (1)'));
    const results = await Promise.allSettled([good, fatal]);
    expect(results.map((each) => each.status)).toEqual(['rejected', 'rejected']);
    expect(db.prepare('SELECT count(*) AS n FROM handshake').get()).toEqual({ n: 0 });
    db.close();
  });

  test('closing commits what waits', async () => {
    const path = registryFile();
    const registry = opened(path);
    registry.addNetwork(NETWORK, '');
    registry.addGroup(anyGroup());
    const noted = registry.refused({ source: '192.0.2.1', proven: false, result: 'xtt.bad-header' });
    registry.close();
    await noted;
    expect(opened(path).handshakes(9)).toMatchObject([{ source: '192.0.2.1', result: 'xtt.bad-header' }]);
  });
});
