import { chmodSync, existsSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import { EVERYTHING } from '../../../../fabric/access/scope.ts';
import {
  copyRegistry,
  moveRegistry,
  openReader,
  openRegistry,
  registryServers,
} from '../../../../fabric/open-registry.ts';
import { type CopyProgress, copyFromServers } from '../../../../fabric/registry/postgres/move.ts';
import type { Registry } from '../../../../fabric/registry/registry.ts';
import { allOf, anyGroup, NETWORK, opened, registryFile, scratch, wholeOf } from '../../place.ts';
import { applicant } from '../contract/place.ts';
import { type Server, startServer, stopServer } from './server.ts';

const code = (code: string) => ({ code });

let server: Server;
let made = 0;
const QUIET: CopyProgress = { table() {}, copied() {}, verifying() {} };

beforeAll(async () => {
  server = await startServer();
}, 60_000);
afterAll(() => stopServer(server));

/** A registry file with some of everything, and the file with the address of an empty database. */
async function place(devices: number) {
  const path = registryFile();
  const registry = opened(path);
  await registry.addNetwork('owner', NETWORK, 'plant');
  const group = await registry.addGroup('owner', anyGroup());
  const addresses = await Promise.all(
    Array.from({ length: devices }, () => registry.admit(applicant(group, { source: '192.0.2.7' }))),
  );
  await registry.nameDevice('owner', addresses[0]!, { name: 'gate "north"', note: 'é\u0301 % _ \\' });
  await registry.setStanding('owner', addresses[1]!, 'ban');
  await registry.refused({ source: '192.0.2.9', proven: false, result: 'xtt.bad-signature' });
  await registry.close();
  const database = `moved${++made}`;
  server.sql('postgres', `CREATE DATABASE ${database}`);
  const file = join(scratch(), 'servers');
  writeFileSync(file, `# the plant's\n${server.url(database)}\n`, { mode: 0o600 });
  return { path, file, group, addresses, database };
}

/** What people see of a registry. */
async function seen(registry: Pick<Registry, 'of' | 'verifyAudit'>) {
  const all = registry.of(EVERYTHING);
  return {
    networks: await allOf((page) => all.networks(page)),
    groups: await allOf((page) => all.groups(page)),
    devices: await allOf((page) => all.devices(page)),
    handshakes: await allOf((page) => all.handshakes(page)),
    audit: await allOf((page) => all.audit(page)),
    census: await all.census(),
    countries: await all.deviceCountries(),
    found: (await all.devices({ limit: 10 }, { search: { text: 'north' } })).rows,
    trail: await registry.verifyAudit(),
  };
}

async function open(path: string) {
  const registry = wholeOf(await openRegistry(path));
  onTestFinished(() => registry.close());
  return registry;
}

test('a registry moves with everything that it has, and goes on there', async () => {
  const { path, file, group, addresses, database } = await place(1_200);
  const before = await seen(opened(path));
  const moved = await moveRegistry(path, file, QUIET);
  expect(moved).toMatchObject({ devices: 1_200, networks: 1, groups: 1 });
  // The server counts arrivals by itself: a row for each minute in which there were some.
  const arrivals = Number(server.sql(database, 'SELECT count(*) FROM enf.arrival'));
  expect(moved.written).toBe(moved.rows - arrivals);
  expect(existsSync(path)).toBe(false);
  expect(existsSync(`${path}-moved`)).toBe(true);
  expect(statSync(join(dirname(path), 'registry.url')).mode & 0o777).toBe(0o600);
  const there = await open(path);
  expect(await seen(there)).toEqual(before);
  const address = await there.admit(applicant(group));
  expect(addresses).not.toContainEqual(address);
  expect((await there.census()).devices).toBe(1_201);
  expect((await there.verifyAudit()).entries).toBe(before.trail.entries + 1);
  const reader = await openReader(path);
  onTestFinished(async () => reader?.close());
  expect((await reader!.of(EVERYTHING).census()).devices).toBe(1_201);
});

test('a move that was interrupted goes on; until it is done the registry is where it was', async () => {
  const { path, file } = await place(1_200);
  let pages = 0;
  const interrupted: CopyProgress = {
    ...QUIET,
    copied() {
      if (++pages === 4) throw new Error('power cut');
    },
  };
  await expect(moveRegistry(path, file, interrupted)).rejects.toThrow('power cut');
  const before = await seen(opened(path));
  const url = join(dirname(path), 'registry.url');
  writeFileSync(url, readFileSync(file), { mode: 0o600 });
  await expect(openRegistry(path)).rejects.toMatchObject({
    ...{ code: 'registry.moving', remedy: 'retry' },
    message: expect.stringContaining('was interrupted'),
    action: expect.stringMatching(/^Give the same "enf-fabric registry move" again/),
  });
  expect(await registryServers(path)).toMatchObject([{ unfinished: { code: 'registry.moving' } }]);
  writeFileSync(url, '', { mode: 0o600 });
  await expect(openRegistry(path)).rejects.toMatchObject(code('registry.bad-url'));
  chmodSync(url, 0o644);
  await expect(openRegistry(path)).rejects.toMatchObject(code('registry.exposed'));
  rmSync(url);
  const moved = await moveRegistry(path, file, QUIET);
  expect(moved.written).toBeLessThan(moved.rows);
  expect(await seen(await open(path))).toEqual(before);
});

test('whoever opens a registry while it is moved there is told to wait', async () => {
  const { path, file } = await place(3);
  const other = join(scratch(), 'registry.db');
  writeFileSync(join(dirname(other), 'registry.url'), readFileSync(file), { mode: 0o600 });
  const during: Promise<unknown>[] = [];
  const watched: CopyProgress = {
    ...QUIET,
    verifying() {
      during.push(openRegistry(other).catch((error: unknown) => error));
    },
  };
  await moveRegistry(path, file, watched);
  expect(await during[0]).toMatchObject({
    ...{ code: 'registry.moving', remedy: 'retry' },
    message: expect.stringContaining('is being moved'),
    action: expect.stringMatching(/^Wait until "enf-fabric registry move" has ended/),
  });
  expect(await registryServers(other)).toEqual([
    expect.not.objectContaining({ unfinished: expect.anything() }),
  ]);
});

test('a registry that was changed after a move was interrupted is moved as it is now', async () => {
  const { path, file, group, addresses } = await place(600);
  const interrupted: CopyProgress = {
    ...QUIET,
    // Everything that others refer to is there.
    table(name) {
      if (name === 'group_size') throw new Error('power cut');
    },
  };
  await expect(moveRegistry(path, file, interrupted)).rejects.toThrow('power cut');
  const registry = opened(path);
  await registry.renameNetwork('owner', NETWORK, 'works');
  await registry.setGroupStatus('owner', group.gid, 'suspended');
  await registry.setStanding('owner', addresses[2]!, 'ban');
  const before = await seen(registry);
  await registry.close();
  await moveRegistry(path, file, QUIET);
  expect(await seen(await open(path))).toEqual(before);
});

test('a move that was interrupted when all was copied goes on, and nobody opens a registry that is not finished', async () => {
  const { path, file, database } = await place(3);
  const before = await seen(opened(path));
  const interrupted: CopyProgress = {
    ...QUIET,
    verifying() {
      throw new Error('power cut');
    },
  };
  await expect(moveRegistry(path, file, interrupted)).rejects.toThrow('power cut');
  server.sql(
    database,
    `CREATE FUNCTION cut() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'power cut'; END $$;
     CREATE TRIGGER cut BEFORE INSERT ON enf.migration FOR EACH ROW EXECUTE FUNCTION cut()`,
  );
  await expect(moveRegistry(path, file, QUIET)).rejects.toThrow('power cut');
  await expect(openRegistry(path)).rejects.toMatchObject(code('registry.moving'));
  server.sql(database, 'DROP TRIGGER cut ON enf.migration');
  await moveRegistry(path, file, QUIET);
  expect(existsSync(path)).toBe(false);
  expect(await seen(await open(path))).toEqual(before);
});

test('of two moves into one database at once one is refused, and the other one is whole', async () => {
  const places = [await place(600), await place(600)];
  const before = await Promise.all(places.map(({ path }) => seen(opened(path))));
  const { file } = places[0]!;
  const done = await Promise.allSettled(places.map(({ path }) => moveRegistry(path, file, QUIET)));
  const moved = done.findIndex(({ status }) => status === 'fulfilled');
  expect(done[1 - moved]).toMatchObject({ status: 'rejected', reason: code('registry.locked') });
  expect(await seen(await open(places[moved]!.path))).toEqual(before[moved]);
  expect(await seen(opened(places[1 - moved]!.path))).toEqual(before[1 - moved]);
});

test('a move whose connection was lost writes no more, since another one may have begun; it goes on when it is begun again', async () => {
  const { path, file, database } = await place(600);
  const before = await seen(opened(path));
  const cut: CopyProgress = {
    ...QUIET,
    verifying() {
      server.sql(
        'postgres',
        `SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = '${database}' AND application_name = 'enf-fabric write'`,
      );
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 300);
    },
  };
  await expect(moveRegistry(path, file, cut)).rejects.toMatchObject(code('registry.unreachable'));
  expect(server.sql(database, 'SELECT max(version) FROM enf.migration')).toBe('0');
  await moveRegistry(path, file, QUIET);
  expect(await seen(await open(path))).toEqual(before);
});

test('a database that has a registry is left alone', async () => {
  const first = await place(3);
  await moveRegistry(first.path, first.file, QUIET);
  const second = await place(2);
  await expect(moveRegistry(second.path, first.file, QUIET)).rejects.toMatchObject(code('registry.exists'));
  expect((await opened(second.path).census()).devices).toBe(2);
  expect((await (await open(first.path)).census()).devices).toBe(3);
  await expect(moveRegistry(first.path, first.file, QUIET)).rejects.toMatchObject(code('registry.exists'));
  await expect(moveRegistry(second.path, '/nowhere', QUIET)).rejects.toMatchObject(code('os.no-file'));
});

test('a copy during which the connection is lost fails: it would be of several moments', async () => {
  const { path, file, database } = await place(1_200);
  await moveRegistry(path, file, QUIET);
  const url = readFileSync(file, 'utf8').split('\n')[1]!;
  const cut: CopyProgress = {
    ...QUIET,
    table(name) {
      if (name !== 'handshake') return;
      server.sql(
        'postgres',
        `SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = '${database}'`,
      );
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 300);
    },
  };
  await expect(
    copyFromServers({ urls: [url], path: join(scratch(), 'registry.url') }, join(scratch(), 'copy.db'), cut),
  ).rejects.toMatchObject(code('registry.unreachable'));
});

test('a copy of a registry on a server is a file of SQLite with the same content', async () => {
  const { path, file } = await place(700);
  await moveRegistry(path, file, QUIET);
  const before = await seen(await open(path));
  const copy = join(scratch(), 'copy.db');
  await copyRegistry(path, copy);
  expect(await seen(opened(copy))).toEqual(before);
});
