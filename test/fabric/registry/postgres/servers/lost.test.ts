import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { expect, onTestFinished, test, vi } from 'vitest';
import { serverDatabase } from '../../../../../fabric/registry/postgres/connection.ts';
import { postgresFailure, StatementError } from '../../../../../fabric/registry/postgres/failures.ts';
import { type Link, type Name, openLink, type Query } from '../../../../../fabric/registry/postgres/link.ts';
import { makeSchema, serverVersion } from '../../../../../fabric/registry/postgres/migrate.ts';
import { makeServerRegistry, openServerRegistry } from '../../../../../fabric/registry/postgres/registry.ts';
import { prepare } from '../../../../../fabric/registry/sql/base/statements.ts';
import { anyGroup, NETWORK, scratch, wholeOf } from '../../../place.ts';
import { applicant } from '../../contract/place.ts';
import { ownServer } from '../own-server.ts';
import { wayTo } from './way.ts';

/** Half as long as otherwise. */
vi.mock('../../../../../fabric/registry/postgres/times.ts', async (original) => ({
  ...(await original<object>()),
  ...{ STATEMENT_MS: 2_000, LOCK_MS: 1_000, PATIENCE_MS: 3_000, SEND_MS: 5_000 },
}));

async function place() {
  const server = await ownServer();
  server.sql('postgres', 'CREATE DATABASE enf');
  await makeServerRegistry([server.url('enf')], 'test', 1_000);
  const way = await wayTo(server);
  const open = (...urls: string[]) => {
    const registry = wholeOf(openServerRegistry(urls, join(scratch(), 'registry.url')));
    onTestFinished(() => registry.close());
    return registry;
  };
  const link = (...urls: string[]) => {
    const opened = openLink(urls);
    onTestFinished(() => opened.close());
    return opened;
  };
  return { server, way, open, link };
}

const UNREACHABLE = { code: 'registry.unreachable', remedy: 'retry' };

/** The server is asked, and answers, sooner or later. */
const answers = (link: Link, purpose: 'read' | 'write') =>
  expect
    .poll(
      () =>
        link.send(purpose, { sql: 'SELECT 1' }).then(
          ({ rows }) => rows,
          () => undefined,
        ),
      { timeout: 20_000 },
    )
    .toEqual([['1']]);

test('a connection that ends while it is made fails what is asked, and nothing else', async () => {
  const { way, link } = await place();
  const opened = link(way.url('enf'));
  await way.be({ state: 'cut', left: 0, drop: true });
  expect(() => opened.ask('write', { sql: 'SELECT 1' })).toThrow(expect.objectContaining(UNREACHABLE));
  await way.be({ state: 'open' });
  await answers(opened, 'write');
});

test('a server that says what nobody understands fails what is asked, and nothing else', async () => {
  const { way, link } = await place();
  const opened = link(way.url('enf'));
  await way.be({ state: 'kerberos' });
  expect(() => opened.ask('read', { sql: 'SELECT 1' })).toThrow(expect.objectContaining(UNREACHABLE));
  await way.be({ state: 'open' });
  await answers(opened, 'read');
});

test('a server that falls silent is given up by whoever writes, and another one is found; nobody waits twice', async () => {
  const { server, way, open } = await place();
  const registry = open(way.url('enf'), server.url('enf'));
  await registry.addNetwork('owner', NETWORK, 'plant');
  const group = await registry.addGroup('owner', anyGroup());
  await way.be({ state: 'silent' });
  await expect(registry.admit(applicant(group))).rejects.toMatchObject(UNREACHABLE);
  await expect
    .poll(
      () =>
        registry.admit(applicant(group)).then(
          () => 'admitted',
          () => 'failed',
        ),
      { timeout: 40_000, interval: 200 },
    )
    .toBe('admitted');
  await expect
    .poll(
      () =>
        registry.verifyAudit().then(
          () => 'whole',
          () => 'failed',
        ),
      { timeout: 40_000, interval: 200 },
    )
    .toBe('whole');
}, 90_000);

test('while a server cannot be reached, what is asked is refused without waiting for it', async () => {
  const { way, link } = await place();
  const opened = link(way.url('enf'));
  opened.ask('read', { sql: 'SELECT 1' });
  await way.be({ state: 'silent' });
  expect(() => opened.ask('read', { sql: 'SELECT 1' })).toThrow('within 3 seconds');
  // Those that do not answer in time say so with these words; those that are refused at once do not.
  for (let asked = 0; asked < 5; asked++) {
    expect(() => opened.ask('read', { sql: 'SELECT 1' })).toThrow(/it does not answer \(|timeout/);
    await wait(500);
  }
}, 60_000);

test('what reads everything at one moment fails when its connection is lost, and is not continued on another one', async () => {
  const { server, link } = await place();
  const opened = link(server.url('enf'));
  const db = serverDatabase(opened);
  const count = () => prepare(db, 'SELECT count(*) FROM owner').pluck().get();
  const cut = () =>
    server.sql(
      'postgres',
      "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE application_name = 'enf-fabric read'",
    );
  const twice = db.transaction(() => {
    count();
    cut();
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 300);
    return count();
  });
  expect(twice).toThrow(expect.objectContaining(UNREACHABLE));
  expect(count()).toBe(1);
});

test('what copies everything as it was at one moment may take its time between two statements; who writes may not', async () => {
  const { server, link } = await place();
  const opened = link(server.url('enf'));
  const db = serverDatabase(opened);
  const count = () => prepare(db, 'SELECT count(*) FROM owner').pluck().get();
  db.asOfNow();
  const before = count();
  opened.ask('write', { sql: 'BEGIN', begins: 1 });
  const state = () =>
    server.sql('postgres', "SELECT state FROM pg_stat_activity WHERE application_name = 'enf-fabric write'");
  expect(state()).toBe('idle in transaction');
  await expect.poll(state, { timeout: 20_000 }).toBe('');
  expect(() => opened.ask('write', { sql: 'SELECT 1', transaction: 1 })).toThrow(
    expect.objectContaining(UNREACHABLE),
  );
  server.sql('enf', "INSERT INTO enf.owner (name, status, created) VALUES ('later', 'active', 1)");
  expect(count()).toBe(before);
});

test('a change of the schema whose connection is lost fails as a whole', async () => {
  const { server, link } = await place();
  server.sql('postgres', 'CREATE DATABASE other');
  const real = link(server.url('other'));
  let asked = 0;
  const losing = {
    ...real,
    ask: (name: Name, query: Query) => {
      // Between two statements, when none of them fails by itself.
      if (++asked === 5) {
        server.sql(
          'postgres',
          "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE application_name = 'enf-fabric write'",
        );
        Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 300);
      }
      return real.ask(name, query);
    },
  };
  expect(() => makeSchema(losing, 1_000)).toThrow(expect.objectContaining(UNREACHABLE));
  expect(serverVersion(real)).toBeUndefined();
  expect(server.sql('other', "SELECT count(*) FROM pg_tables WHERE schemaname = 'enf'")).toBe('0');
});

test('a node goes on when a later version has changed a table', async () => {
  const { server, open } = await place();
  const registry = open(server.url('enf'));
  const entries = async () => (await registry.audit({ limit: 10 })).rows.length;
  expect(await entries()).toBe(1);
  server.sql('enf', 'ALTER TABLE enf.audit ADD COLUMN later bigint');
  await expect.poll(() => entries().catch(() => undefined), { timeout: 10_000 }).toBe(1);
});

test('what TLS and the system say of a connection is no error of the program', () => {
  for (const code of [
    'SELF_SIGNED_CERT_IN_CHAIN',
    'CERT_HAS_EXPIRED',
    'EPIPE',
    'ECONNREFUSED',
    '25P03',
    '57P01',
  ])
    expect(postgresFailure({ code, message: 'no' })).toMatchObject(UNREACHABLE);
  for (const code of ['42601', '23505', '0A000'])
    expect(postgresFailure({ code, message: 'no' })).toBeInstanceOf(StatementError);
});

test('whoever notifies again and again has nobody look as often', async () => {
  const { server, link } = await place();
  const opened = link(server.url('enf'));
  let heard = 0;
  opened.listen(() => heard++);
  /** What was heard until nothing more came. */
  const all = async (): Promise<number> => {
    for (let before = -1; before !== heard; await wait(300)) before = heard;
    return heard;
  };
  await expect.poll(() => heard, { timeout: 20_000 }).toBe(1);
  // By a user of the database who has no rights in it.
  server.sql('postgres', 'CREATE ROLE nobody');
  server.sql(
    'enf',
    "SET ROLE nobody; SELECT count(pg_notify('enf_change', n::text)) FROM generate_series(1, 5000) AS n",
  );
  await expect.poll(() => heard, { timeout: 20_000 }).toBeGreaterThan(1);
  const flood = await all();
  expect(flood).toBeLessThan(1_000);
  // What comes after that is heard, too.
  server.sql('enf', 'NOTIFY enf_change');
  await expect.poll(() => heard, { timeout: 20_000 }).toBe(flood + 1);
}, 60_000);
