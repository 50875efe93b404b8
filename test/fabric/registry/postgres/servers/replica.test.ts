import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { expect, onTestFinished, test } from 'vitest';
import { EVERYTHING } from '../../../../../fabric/access/scope.ts';
import type { Actor } from '../../../../../fabric/operations/contract/operation.ts';
import { perform } from '../../../../../fabric/operations/perform.ts';
import type { AuditView } from '../../../../../fabric/operations/views/handshakes.ts';
import { makeServerRegistry, openServerRegistry } from '../../../../../fabric/registry/postgres/registry.ts';
import { formatPrefix, parsePrefix } from '../../../../../protocol/ipv6.ts';
import { scratch, wholeOf } from '../../../place.ts';
import { ownServer } from '../own-server.ts';
import type { Server } from '../server.ts';
import { wayTo } from './way.ts';

const ACTOR: Actor = { name: 'test', role: 'host', scope: EVERYTHING, via: 'operator' };
const running = { notify: async () => 'in force', presence: async () => undefined };
/** A registry asks a standby that was away, or behind, again after some seconds. */
const AGAIN = { timeout: 30_000, interval: 100 };

async function primaryOf() {
  const primary = await ownServer();
  primary.sql('postgres', 'CREATE DATABASE enf');
  await makeServerRegistry([primary.url('enf')], 'test', 1_000);
  return primary;
}

function nodeOn(servers: readonly Pick<Server, 'url'>[]) {
  const urls = servers.map((server) => server.url('enf'));
  const registry = wholeOf(openServerRegistry(urls, join(scratch(), 'registry.url')));
  onTestFinished(() => registry.close());
  let networks = 0;
  return {
    registry,
    /** Adds a network, and returns what the trail says of that. */
    async add() {
      const prefix = parsePrefix(`fd00:${++networks}::/64`);
      await registry.addNetwork('owner', prefix, '');
      return formatPrefix(prefix);
    },
    /** What the newest entry of the trail is about, and of when that is if a replica says so. */
    async newest() {
      const ground = { registry, running, now: Date.now };
      const { view, asOf } = (await perform('audit-list', ACTOR, ground, { limit: 1 }))!;
      const [entry] = (view as { readonly rows: readonly AuditView[] }).rows;
      return { subject: entry!.subject, asOf };
    },
  };
}

const TIME = expect.stringMatching(/^\d{4}-\d\d-\d\dT[\d:.]+Z$/);

/** The statements that connections for a purpose have run last. */
const asked = (server: Server, purpose: string) =>
  server.sql('enf', `SELECT query FROM pg_stat_activity WHERE application_name = 'enf-fabric ${purpose}'`);

test('a list comes from a standby that has everything; from the primary if that is behind, or away', async () => {
  const primary = await primaryOf();
  const standby = await ownServer({}, primary);
  const { add, newest } = nodeOn([primary, standby]);
  const first = await add();
  await expect.poll(newest, AGAIN).toEqual({ subject: first, asOf: TIME });
  // The names of owners, which a page of the trail is shown with.
  expect(asked(standby, 'replica')).toContain('FROM owner');
  expect(asked(primary, 'replica')).toBe('');

  for (let i = 0; i < 20; i++) {
    const subject = await add();
    expect((await newest()).subject).toBe(subject);
  }

  standby.sql('enf', 'SELECT pg_wal_replay_pause()');
  const unseen = await add();
  expect(await newest()).toEqual({ subject: unseen });
  standby.sql('enf', 'SELECT pg_wal_replay_resume()');
  await expect.poll(newest, AGAIN).toEqual({ subject: unseen, asOf: TIME });

  await standby.kill();
  const alone = await add();
  expect(await newest()).toEqual({ subject: alone });
  await standby.start();
  await expect.poll(newest, AGAIN).toEqual({ subject: alone, asOf: TIME });
}, 120_000);

test('a replica that goes away, or does not answer, while it is read is left for the primary', async () => {
  const primary = await primaryOf();
  const standby = await ownServer({}, primary);
  const way = await wayTo(standby);
  const { registry, add, newest } = nodeOn([primary, way]);
  const subject = await add();
  const { replica } = registry;
  const fails = [() => way.be({ state: 'silent' }), () => standby.kill()];
  for (const fail of fails) {
    await expect.poll(newest, AGAIN).toEqual({ subject, asOf: TIME });
    registry.replica = async () => {
      let found = await replica();
      while (found === undefined) {
        await wait(100);
        found = await replica();
      }
      await fail();
      return found;
    };
    expect(await newest()).toEqual({ subject });
    registry.replica = replica;
    expect(await newest()).toEqual({ subject });
    await way.be({ state: 'open' });
  }
}, 120_000);

test('a standby that is promoted is no replica any more, also while the primary goes on', async () => {
  const primary = await primaryOf();
  const standby = await ownServer({}, primary);
  const { add, newest } = nodeOn([primary, standby]);
  const subject = await add();
  await expect.poll(newest, AGAIN).toEqual({ subject, asOf: TIME });
  standby.sql('postgres', 'SELECT pg_promote()');
  expect(await newest()).toEqual({ subject });
}, 60_000);

test('a standby of a primary that was replaced is no replica, how far it may be', async () => {
  const primary = await primaryOf();
  const [promoted, former] = [await ownServer({}, primary), await ownServer({}, primary)];
  await promoted.kill();
  primary.sql('enf', 'CREATE TABLE public.filled AS SELECT generate_series(1, 100000)');
  const end = primary.sql('enf', 'SELECT pg_current_wal_flush_lsn()');
  const reached = `SELECT pg_last_wal_replay_lsn() >= '${end}'`;
  await expect.poll(() => former.sql('enf', reached), AGAIN).toBe('t');
  await primary.kill();
  await promoted.start();
  promoted.sql('postgres', 'SELECT pg_promote()');

  const { registry, add } = nodeOn([primary, promoted, former]);
  await add();
  const used = promoted.sql('enf', 'SELECT pg_current_wal_flush_lsn()');
  expect(former.sql('enf', `SELECT pg_last_wal_replay_lsn() > '${used}'`)).toBe('t');
  expect(await registry.replica()).toBeUndefined();
}, 120_000);
