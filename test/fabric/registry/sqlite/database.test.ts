import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { EVERYTHING } from '../../../../fabric/access/scope.ts';
import type { Device } from '../../../../fabric/registry/records.ts';
import { prepare } from '../../../../fabric/registry/sql/base/statements.ts';
import { connect } from '../../../../fabric/registry/sqlite/connect.ts';
import { copyBeforeUpgrade, openDatabase } from '../../../../fabric/registry/sqlite/database.ts';
import { openSqliteRegistry } from '../../../../fabric/registry/sqlite/open.ts';
import { MIGRATIONS, migrate, schemaVersion } from '../../../../fabric/registry/sqlite/schema.ts';
import { allOf, NETWORK, opened, random, registryFile, scratch } from '../../place.ts';

const tables = (path: string): unknown[] => {
  const db = connect(path, { readonly: true });
  const rows = prepare(db, 'SELECT name, sql FROM sqlite_schema ORDER BY name').all();
  db.close();
  return rows;
};

test('the driver’s objects are made and kept in one place: from Node 24.19 on a collected one ends the process', () => {
  const folder = new URL('../../../../fabric/registry/sqlite/', import.meta.url);
  const files = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((name) =>
    name.endsWith('.ts'),
  );
  const makers = files.filter((name) =>
    /\.(prepare|pragma|iterate|backup)\(|new SQLite\(/.test(readFileSync(new URL(name, folder), 'utf8')),
  );
  expect(makers).toEqual(['connect.ts']);
});

test('[H-E23] an address that was forgotten is not in the file any more, also not in what it has freed', async () => {
  const path = registryFile();
  const registry = openSqliteRegistry(path);
  for (let n = 0; n < 300; n++)
    await registry.refused({ source: `203.0.113.${n % 250}`, proven: false, result: 'xtt.bad-cookie' });
  await registry.of(EVERYTHING).setPrivacy('anna', { addresses: 'none' });
  for (let place = await registry.sweep(); place !== undefined; place = await registry.sweep(place));
  await registry.close();
  expect(readFileSync(path).includes('xtt.bad-cookie')).toBe(true);
  expect(readFileSync(path).includes('203.0.113.')).toBe(false);
});

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

  test('a file of version 1 keeps its devices', async () => {
    const path = join(scratch(), 'old.db');
    writeFileSync(path, '');
    const db = openDatabase(path, { steps: MIGRATIONS.slice(0, 1) });
    const [gid, pseudonym, address, key] = [random(32), random(65), random(16), random(65)];
    prepare(db, "INSERT INTO network VALUES (1, ?, 'n', ?, 1)").run(NETWORK.address, random(32));
    prepare(
      db,
      "INSERT INTO grp (gid, gpk, basename, name, network, status, claim_hash, created) VALUES (?, ?, ?, 'g', 1, 'active', NULL, 1)",
    ).run(gid, random(258), random(4));
    prepare(db, "INSERT INTO device VALUES (1, ?, ?, ?, ?, 0, 0, 1, 2, 'from')").run(
      gid,
      pseudonym,
      address,
      key,
    );
    db.close();
    expect(await opened(path).device(address)).toMatchObject({
      pseudonym,
      longtermKey: key,
      standing: 'active',
    });
  });

  test('[H-A6] a file of version 3 keeps the newest handshakes of each chip, and the numbers of the others', async () => {
    const path = join(scratch(), 'old.db');
    writeFileSync(path, '');
    const db = openDatabase(path, { steps: MIGRATIONS.slice(0, 3) });
    const [gid, pseudonym, other] = [random(32), random(65), random(65)];
    const add = (at: number, chip: Uint8Array | null, proven: number, result: string): unknown =>
      prepare(
        db,
        'INSERT INTO handshake (at, source, gid, pseudonym, proven, result) VALUES (?, ?, ?, ?, ?, ?)',
      ).run(at, 'x', chip === null ? null : gid, chip, proven, result);
    for (let n = 0; n < 70; n++) add(n, pseudonym, 1, n % 7 === 0 ? 'fabric.device-banned' : 'ok');
    add(100, other, 1, 'ok');
    for (let n = 0; n < 60; n++) add(200, null, 0, 'net.timeout');
    db.close();
    const registry = opened(path);
    const device = { gid, pseudonym } as Device;
    expect(await allOf((page) => registry.handshakes(page, { device }))).toHaveLength(50);
    expect(await registry.handshakeCounts(device)).toEqual([
      { result: 'ok', times: 17, first: 1, last: 19 },
      { result: 'fabric.device-banned', times: 3, first: 0, last: 14 },
    ]);
    expect(await allOf((page) => registry.handshakes(page))).toHaveLength(50 + 1 + 60);
    expect(await registry.handshakeCounts()).toEqual([]);
    expect((await registry.verifyAudit()).entries).toBe(0);
  });

  test('of version 13 has one owner, whose all is that was there', async () => {
    const path = join(scratch(), 'old.db');
    writeFileSync(path, '');
    const db = openDatabase(path, { now: 77, steps: MIGRATIONS.slice(0, 13) });
    const [gid, pseudonym, address, hash] = [random(32), random(65), random(16), random(32)];
    prepare(db, "INSERT INTO network VALUES (1, ?, 'n', ?, 1)").run(NETWORK.address, random(32));
    prepare(
      db,
      "INSERT INTO grp (gid, gpk, basename, name, network, status, created) VALUES (?, ?, ?, 'g', 1, 'active', 1)",
    ).run(gid, random(258), random(4));
    prepare(
      db,
      `INSERT INTO device (gid, pseudonym, address, longterm_key, created, handshake_at, handshake_from, country, evicted, name)
       VALUES (?, ?, ?, ?, 1, 2, 'from', 'CH', 0, 'pump')`,
    ).run(gid, pseudonym, address, random(65));
    prepare(db, 'UPDATE device SET evicted = 1').run();
    db.exec(`
      INSERT INTO handshake (at, source, proven, result) VALUES (1, 'x', 0, 'net.timeout');
      INSERT INTO handshake_hour VALUES (1, 'CH', 1, 5);
      INSERT INTO person (name, key, role, created_by, created) VALUES ('Root', 'root', 'host', 'a', 1), ('Anna', 'anna', 'operator', 'a', 2);
      INSERT INTO alarm (kind, subject, detail, opened, seen) VALUES ('disk.full-soon', '/', '{}', 1, 1), ('device.twins', 'x', '{}', 1, 1);
    `);
    prepare(
      db,
      "INSERT INTO token (hash, name, role, created_by, created, expires) VALUES (?, 't', 'host', 'a', 1, 999)",
    ).run(hash);
    db.close();
    const registry = opened(path, { now: () => 99 });
    expect((await registry.owners({ limit: 9 })).rows).toMatchObject([
      { id: 1, name: 'default', status: 'active', created: 77, networks: 1 },
    ]);
    expect(await registry.useToken(hash)).toMatchObject({ role: 'host', owner: 0 });
    expect((await registry.people({ limit: 9 })).rows).toMatchObject([
      { name: 'Root', role: 'host', owners: [] },
      { name: 'Anna', role: 'operator', owners: [{ owner: 1, name: 'default', role: 'operator' }] },
    ]);
    await registry.addOwner('root', 'acme');
    const [first, acme] = [1, 2].map((owner) => registry.of({ owner, everything: false }));
    expect(await first!.census()).toMatchObject({ networks: 1, groups: 1, devices: 1, evicted: 1 });
    expect(await first!.deviceNamed('pump')).toEqual(address);
    expect([...(await first!.deviceCountries())]).toEqual([['CH', 1]]);
    expect((await first!.handshakes({ limit: 9 })).rows).toHaveLength(1);
    expect([...(await first!.hourTallies(0)).values()]).toEqual([{ ok: 5, refused: 0, abandoned: 0 }]);
    expect((await first!.alarms({ limit: 9 }, true)).rows.map(({ kind }) => kind)).toEqual(['device.twins']);
    expect(await acme!.census()).toMatchObject({ networks: 0, groups: 0, devices: 0, evicted: 0 });
    expect((await acme!.handshakes({ limit: 9 })).rows).toEqual([]);
    expect((await registry.alarms({ limit: 9 }, true)).rows).toHaveLength(2);
  });

  test('of version 17 says of alarms about the fabric itself that they are the host’s', () => {
    const old = connect(join(scratch(), 'registry.db'));
    migrate(old, 1, MIGRATIONS.slice(0, 17));
    const add = prepare(
      old,
      'INSERT INTO alarm (kind, owner, subject, detail, opened, seen) VALUES (?, 1, ?, ?, 1, 1)',
    );
    for (const kind of ['audit.broken', 'places.old', 'device.twins']) add.run(kind, kind, '{}');
    migrate(old, 2);
    expect(prepare(old, 'SELECT kind, owner FROM alarm ORDER BY kind').raw().all()).toEqual([
      ['audit.broken', 0],
      ['device.twins', 1],
      ['places.old', 0],
    ]);
    old.close();
  });

  test('a step that fails leaves the version before it', () => {
    const path = join(scratch(), 'half.db');
    writeFileSync(path, '');
    const broken = [...MIGRATIONS, { name: 'broken', sql: 'CREATE TABLE half (x); SELECT nonsense;' }];
    expect(() => openDatabase(path, { steps: broken })).toThrow(/nonsense/);
    const db = openDatabase(path);
    expect(schemaVersion(db)).toBe(MIGRATIONS.length);
    expect(prepare(db, "SELECT count(*) AS n FROM sqlite_schema WHERE name = 'half'").get()).toEqual({
      n: 0,
    });
    db.close();
  });

  test('before the schema changes, the registry is copied; without room for it nothing changes', () => {
    const path = registryFile();
    openDatabase(path).close();
    expect(existsSync(copyBeforeUpgrade(path))).toBe(false);
    const next = [...MIGRATIONS, { name: 'next', sql: 'CREATE TABLE next (x)' }];
    mkdirSync(copyBeforeUpgrade(path));
    expect(() => openDatabase(path, { steps: next })).toThrow();
    const before = openDatabase(path);
    expect(schemaVersion(before)).toBe(MIGRATIONS.length);
    before.close();
    rmSync(copyBeforeUpgrade(path), { recursive: true });
    // What a killed process has left is removed; what another is working on is not.
    writeFileSync(`${copyBeforeUpgrade(path)}-4194305.tmp`, 'left');
    writeFileSync(`${copyBeforeUpgrade(path)}-1.tmp`, 'at work');
    openDatabase(path, { steps: next }).close();
    expect(statSync(copyBeforeUpgrade(path)).mode & 0o777).toBe(0o600);
    expect(readdirSync(dirname(path)).filter((name) => name.endsWith('.tmp'))).toEqual([
      `${basename(copyBeforeUpgrade(path))}-1.tmp`,
    ]);
    // The copy is whole: the program that made it can go on with it. The header says which schema each has.
    const header = (file: string): number => readFileSync(file).readUInt32BE(60);
    expect([header(copyBeforeUpgrade(path)), header(path)]).toEqual([
      MIGRATIONS.length,
      MIGRATIONS.length + 1,
    ]);
    const copy = openDatabase(copyBeforeUpgrade(path));
    expect(schemaVersion(copy)).toBe(MIGRATIONS.length);
    copy.close();
  });

  test('a newer file is left alone', () => {
    const path = registryFile();
    const db = connect(path);
    migrate(db, 1, [...MIGRATIONS, { name: 'future', sql: 'CREATE TABLE future (x)' }]);
    db.close();
    expect(() => openDatabase(path)).toThrow(expect.objectContaining({ code: 'registry.newer-schema' }));
  });
});

describe('the file', () => {
  test('every commit is on the disk, and rows keep to their references', () => {
    const db = openDatabase(registryFile());
    expect(prepare(db, 'PRAGMA journal_mode').pluck().get()).toBe('wal');
    expect(prepare(db, 'PRAGMA synchronous').pluck().get()).toBe(2); // FULL
    expect(prepare(db, 'PRAGMA foreign_keys').pluck().get()).toBe(1);
    expect(() =>
      prepare(
        db,
        "INSERT INTO grp (gid, gpk, basename, name, network, status, claim_hash, created) VALUES (?, ?, ?, 'g', 77, 'active', NULL, 1)",
      ).run(random(32), random(258), random(4)),
    ).toThrow(/FOREIGN KEY/);
    db.close();
  });

  test('absent, damaged and locked files have their names', async () => {
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
    await expect((async () => opened(cut).groups({ limit: 9 }))()).rejects.toMatchObject({
      code: 'registry.corrupt',
    });
    const readonly = registryFile();
    chmodSync(readonly, 0o400);
    const holder = openDatabase(readonly);
    holder.exec('BEGIN IMMEDIATE');
    expect(() => openDatabase(readonly)).toThrow(expect.objectContaining({ code: 'registry.locked' }));
    holder.close();
  });
});
