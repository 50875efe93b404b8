import { cpSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, onTestFinished, test, vi } from 'vitest';
import { EVERYTHING } from '../../../../../fabric/access/scope.ts';
import { openLink } from '../../../../../fabric/registry/postgres/link.ts';
import {
  makeServerRegistry,
  openServerReader,
  openServerRegistry,
} from '../../../../../fabric/registry/postgres/registry.ts';
import { readKnown } from '../../../../../fabric/registry/postgres/server-head.ts';
import { serverPlace } from '../../../../../fabric/registry/postgres/servers.ts';
import type { RegistryOptions } from '../../../../../fabric/registry/registry.ts';
import { parsePrefix } from '../../../../../protocol/ipv6.ts';
import { allOf, scratch, wholeOf } from '../../../place.ts';
import { ownServer } from '../own-server.ts';
import { cut, putBack } from '../put-back.ts';
import type { Server } from '../server.ts';
import { socketOf, wayTo } from './way.ts';

/** A server that was promoted is found sooner than otherwise. */
vi.mock('../../../../../fabric/registry/postgres/times.ts', async (original) => ({
  ...(await original<object>()),
  LOOK_MS: 2_000,
}));

const network = (n: number) => parsePrefix(`fd00:${n}::/64`);
const DIVERGED = { code: 'registry.diverged', remedy: 'operator' };

/** A server of its own, with an empty registry. */
async function withRegistry() {
  const server = await ownServer();
  server.sql('postgres', 'CREATE DATABASE enf');
  const urls = [server.url('enf')];
  await makeServerRegistry(urls, 'test', 1_000);
  return { server, urls };
}

/** A primary with a registry, and its standby, which nobody waits for. */
async function pair() {
  const { server: primary, urls } = await withRegistry();
  const standby = await ownServer({}, primary);
  return { primary, standby, urls: [...urls, standby.url('enf')] };
}

/** A node with the data folder of `path`. */
function node(urls: readonly string[], path: string, options: RegistryOptions = {}) {
  const registry = wholeOf(openServerRegistry(urls, path, options));
  onTestFinished(() => registry.close());
  return registry;
}
type Node = ReturnType<typeof node>;

/** The file of a data folder that names the servers. */
function folder(): string {
  const path = join(scratch(), 'registry.url');
  writeFileSync(path, '', { mode: 0o600 });
  return path;
}

/** Adds a network, as soon as there is a server to do it. */
const add = (registry: Node, n: number) =>
  expect
    .poll(() => registry.addNetwork('owner', network(n), '').catch(({ code }) => code), { timeout: 30_000 })
    .toMatchObject({ name: '' });

const entries = (server: Server) => Number(server.sql('enf', 'SELECT max(seq) FROM enf.audit'));
const failovers = async (registry: Node) =>
  (await allOf((page) => registry.audit(page))).filter(({ action }) => action === 'registry.failover');
const hasAll = async (primary: Server, standby: Server) =>
  expect.poll(() => entries(standby), { timeout: 20_000 }).toBe(entries(primary));

/** A node that has written to a primary, which is gone; its standby, which has all of that, was promoted. */
async function promoted() {
  const { primary, standby, urls } = await pair();
  const path = folder();
  const registry = node(urls, path);
  await add(registry, 1);
  await hasAll(primary, standby);
  await primary.kill();
  standby.sql('postgres', 'SELECT pg_promote()');
  return { primary, standby, urls, path, registry };
}

test('a primary that was replaced and runs again is not used, be it the first; nor after a restart, nor by a node that knows nothing', async () => {
  const { primary, standby, urls, path, registry } = await promoted();
  await add(registry, 2);
  await primary.start();
  cut(standby);
  await add(registry, 3);
  expect(await failovers(registry)).toEqual([]);
  await registry.close();

  await add(node(urls, path), 4);
  await add(node(urls, folder()), 5);
  expect(entries(primary)).toBe(2);
  expect(entries(standby)).toBe(6);

  await standby.kill();
  expect(() => node(urls, path)).toThrow(expect.objectContaining(DIVERGED));
  expect(() => openServerReader(urls, path)).toThrow(expect.objectContaining(DIVERGED));
  expect(entries(primary)).toBe(2);
}, 120_000);

test('a primary that was replaced is not used, though nothing was written since and it lacks nothing', async () => {
  const { primary, standby, urls, path, registry } = await promoted();
  const read = async () => {
    await registry.census().catch(() => {});
    return readKnown(path);
  };
  await expect.poll(read, { timeout: 20_000 }).toMatchObject({ seq: 2, timeline: 2 });
  await registry.close();
  await standby.kill();
  await primary.start();
  expect(entries(primary)).toBe(2);
  expect(() => node(urls, path)).toThrow(expect.objectContaining(DIVERGED));
}, 60_000);

test('a standby that is promoted without the last commits is used, the trail says what was lost, and the former primary is not used', async () => {
  const { primary, standby, urls } = await pair();
  const [path, later] = [folder(), folder()];
  const registry = node(urls, path);
  onTestFinished(await registry.follow(60_000));
  await add(registry, 1);
  await hasAll(primary, standby);
  standby.sql('postgres', "ALTER SYSTEM SET primary_conninfo = ''");
  standby.sql('postgres', 'SELECT pg_reload_conf()');
  await expect
    .poll(() => primary.sql('postgres', 'SELECT count(*) FROM pg_stat_replication'), { timeout: 20_000 })
    .toBe('0');
  const idle = node(urls, later);
  await add(registry, 2);
  await add(idle, 3);
  await idle.close();
  // What others have written is seen, too.
  await expect.poll(() => readFileSync(`${path}-head`, 'utf8'), { timeout: 20_000 }).toMatch(/^4:/);
  await primary.kill();
  // It is read only if it has everything; else what each server says is said.
  await expect
    .poll(() => registry.census().then(String, (error: Error) => error.message), { timeout: 20_000 })
    .toMatch(/: connect E.*; .*: it is a standby that has no audit entry 4/);
  standby.sql('postgres', 'SELECT pg_promote()');
  await add(registry, 4);
  const said = { seen: 4, newest: 2, timeline: 2 };
  await expect.poll(() => failovers(registry), { timeout: 20_000 }).toMatchObject([{ detail: said }]);
  while (await registry.followTrail());
  const { rows: alarms } = await registry.alarms({ limit: 9 }, true);
  expect(alarms).toMatchObject([
    { kind: 'registry.failover', subject: 'timeline 2', detail: { missing: 2, seen: 4, newest: 2 } },
  ]);
  await registry.verifyAudit();
  // Whoever comes later hears that it was said, and does not say it again.
  const other = node(urls, later);
  await add(other, 5);
  await primary.start();
  cut(standby);
  await add(other, 6);
  await add(registry, 7);
  expect(await failovers(other)).toHaveLength(1);
  expect(entries(primary)).toBe(4);
}, 120_000);

test('a node leaves a primary that goes on, once another one was promoted', async () => {
  const { primary, standby, urls } = await pair();
  const registry = node(urls, folder());
  onTestFinished(await registry.follow(60_000));
  await add(registry, 1);
  await hasAll(primary, standby);
  standby.sql('postgres', 'SELECT pg_promote()');
  await expect
    .poll(
      async () => {
        await registry.setZone('owner', network(1), undefined).catch(() => {});
        return entries(standby) > 2;
      },
      { timeout: 60_000, interval: 1_000 },
    )
    .toBe(true);
  const left = entries(primary);
  await add(registry, 2);
  expect(entries(primary)).toBe(left);
  await registry.verifyAudit();
}, 120_000);

test('a node that serves knows which servers take changes, and which are away or behind', async () => {
  const { primary, standby, urls } = await pair();
  const [one, other] = urls.map(serverPlace);
  const registry = node(urls, folder());
  expect(registry.servers()).toEqual([]);
  onTestFinished(await registry.follow(60_000));
  const seen = () => expect.poll(() => registry.servers(), { timeout: 20_000 });
  const at = expect.any(Number);
  const used = { place: one, at, primary: true, used: true };
  const reads = { place: other, at, primary: false, used: false };
  await seen().toEqual([used, reads]);

  standby.sql('enf', 'SELECT pg_wal_replay_pause()');
  await add(registry, 1);
  await seen().toEqual([used, { ...reads, behind: { since: at, bytes: at } }]);
  const { at: then, behind } = registry.servers()[1]!;
  await expect.poll(() => registry.servers()[1]!.at, { timeout: 20_000 }).toBeGreaterThan(then);
  expect(registry.servers()[1]!.behind).toMatchObject({ since: behind!.since });

  await standby.kill();
  await seen().toEqual([used, { ...reads, lost: { since: at, why: expect.stringMatching(/connect E/) } }]);
  await standby.start();
  await seen().toEqual([used, reads]);

  standby.sql('postgres', 'SELECT pg_promote()');
  await seen().toEqual([
    { ...used, used: false },
    { ...reads, primary: true, used: true },
  ]);
  expect(entries(primary)).toBe(2);
}, 60_000);

test('a node whose servers have one address leaves a primary that goes on, once that address leads to another one', async () => {
  const { primary, standby } = await pair();
  const way = await wayTo(primary);
  const registry = node([way.url('enf')], folder());
  onTestFinished(await registry.follow(60_000));
  await add(registry, 1);
  await hasAll(primary, standby);
  standby.sql('postgres', 'SELECT pg_promote()');
  await way.be({ state: 'open', to: socketOf(standby) });
  await expect
    .poll(
      () =>
        standby.sql(
          'postgres',
          "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'enf-fabric listen'",
        ),
      {
        timeout: 60_000,
      },
    )
    .toBe('1');
  const left = entries(primary);
  await add(registry, 2);
  expect(entries(primary)).toBe(left);
  expect(entries(standby)).toBe(left + 1);
  expect(registry.servers()).toEqual([]);
  await registry.verifyAudit();
}, 120_000);

test('a server that lacks what was seen is used once a person has given that up, on one of all nodes', async () => {
  const { server, urls } = await withRegistry();
  const [one, other] = [folder(), folder()];
  const first = node(urls, one);
  await add(first, 1);
  await add(first, 2);
  await first.close();
  cpSync(`${one}-head`, `${other}-head`);
  const running = node(urls, folder());
  await add(running, 3);
  putBack(server, 2);
  await expect.poll(() => running.census().then(String, ({ code }) => code)).toBe('registry.diverged');
  expect(() => node(urls, one)).toThrow(expect.objectContaining(DIVERGED));
  expect(() => node(urls, other)).toThrow(expect.objectContaining(DIVERGED));
  expect(running.missing()).toMatchObject(DIVERGED);
  expect(entries(server)).toBe(2);

  const accepting = node(urls, one, { givesUp: true });
  expect(accepting.missing()).toMatchObject(DIVERGED);
  await accepting.recordRestore('owner', { lost: 'all' });
  expect(accepting.missing()).toBeUndefined();
  await accepting.close();
  await add(node(urls, one), 4);
  await add(node(urls, other), 5);
  await add(running, 6);
  expect(running.missing()).toBeUndefined();
  const actions = (await allOf((page) => running.of(EVERYTHING).audit(page))).map(({ action }) => action);
  expect(actions.filter((action) => action === 'fabric.restore')).toHaveLength(1);
  await running.verifyAudit();
}, 120_000);

test('a process that gives up what the running fabric lacks does so there, too', async () => {
  const { server, urls } = await withRegistry();
  const running = node(urls, folder());
  await add(running, 1);
  putBack(server, 1);
  await expect.poll(() => running.missing()?.code, { timeout: 20_000 }).toBe('registry.diverged');
  await running.recordRestore('owner', { lost: 'one' });
  expect(running.missing()).toBeUndefined();
  await add(running, 2);
  expect(entries(server)).toBe(3);
}, 60_000);

test('a clock that is behind, or set back, does not have a node take what was lost before for given up now', async () => {
  const known = { seq: 5, hash: '05', at: Date.now() + 3_600_000, system: '1', timeline: 1 };
  const link = openLink(['postgres://nobody@localhost/none'], { known });
  link.seen({ seq: 6, hash: Uint8Array.of(6) });
  expect(link.known).toEqual({ ...known, seq: 6, hash: '06' });

  const { server, urls } = await withRegistry();
  const ahead = Date.now() + 3_600_000;
  server.sql('enf', `INSERT INTO enf.counter VALUES ('restored', ${ahead})`);
  const path = folder();
  const registry = node(urls, path);
  await add(registry, 1);
  await registry.close();
  expect(readKnown(path)).toMatchObject({ seq: 2, at: ahead, timeline: 1 });
  // So what lacks that is not used.
  server.sql('enf', 'SET session_replication_role = replica; DELETE FROM enf.audit WHERE seq = 2');
  expect(() => node(urls, path)).toThrow(expect.objectContaining(DIVERGED));
  // Until somebody gives it up.
  server.sql('enf', `UPDATE enf.counter SET value = ${ahead + 1} WHERE name = 'restored'`);
  expect((await node(urls, path).census()).devices).toBe(0);
}, 60_000);
