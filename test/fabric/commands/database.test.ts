import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { scratch } from '../place.ts';
import { ownServer } from '../registry/postgres/own-server.ts';
import { putBack } from '../registry/postgres/put-back.ts';
import { type Server, startServer, stopServer } from '../registry/postgres/server.ts';
import { fabricProgram } from './program.ts';

/** Commands on a fabric whose registry is on PostgreSQL. */
const fabric = fabricProgram();

let server: Server;
beforeAll(async () => {
  server = await startServer();
  server.sql('postgres', 'CREATE DATABASE enf');
}, 60_000);
afterAll(() => stopServer(server));

const DIVERGED = { code: 'registry.diverged', remedy: 'operator' };

test('a database that lacks what was seen is refused until that is given up, with the fabric running or not', async () => {
  const data = join(scratch(), 'fabric');
  const at = ['--data', data];
  const file = join(scratch(), 'servers');
  writeFileSync(file, server.url('enf'), { mode: 0o600 });
  await fabric.json('init', ...at);
  await fabric.json('registry', 'move', file, ...at);
  await fabric.json('network', 'add', 'fd00:1::/64', ...at);
  putBack(server, 1);
  const refused = await fabric.refusal('audit', ...at);
  expect(refused).toMatchObject(DIVERGED);
  expect(refused.message).toContain('has no audit entry 2, which this node has seen');
  expect(await fabric.refusal('network', 'add', 'fd00:2::/64', ...at)).toMatchObject(DIVERGED);
  expect(await fabric.refusal('backup', 'create', join(scratch(), 'copy'), ...at)).toMatchObject(DIVERGED);
  const accept = async (): Promise<string[]> =>
    (await fabric.json<{ newest: { action: string }[] }>('audit', '--accept-loss', ...at)).newest.map(
      ({ action }) => action,
    );
  expect(await accept()).toEqual(['fabric.init', 'fabric.restore']);
  expect(await accept()).toEqual(['fabric.init', 'fabric.restore']);

  await fabric.serve(data);
  await fabric.json('network', 'add', 'fd00:2::/64', ...at);
  const head = join(data, 'registry.url-head');
  const seen = (entries: number) => existsSync(head) && readFileSync(head, 'utf8').startsWith(`${entries}:`);
  // The fabric has joined as a node, by the name of its host.
  await expect.poll(() => seen(4), { timeout: 20_000 }).toBe(true);
  putBack(server, 2);
  await expect
    .poll(() => fabric.run('network', 'add', 'fd00:3::/64', ...at).then(({ err }) => err), {
      timeout: 40_000,
    })
    .toContain('registry.diverged');
  expect(await accept()).toEqual(['fabric.init', 'fabric.restore', 'fabric.restore']);
  await fabric.json('network', 'add', 'fd00:3::/64', ...at);
});

test('a fabric whose database is away has one line about it in its log, whatever fails, and one when it is back', async () => {
  const own = await ownServer();
  own.sql('postgres', 'CREATE DATABASE enf');
  const data = join(scratch(), 'fabric');
  const at = ['--data', data];
  const file = join(scratch(), 'servers');
  writeFileSync(file, own.url('enf'), { mode: 0o600 });
  await fabric.json('init', ...at);
  await fabric.json('registry', 'move', file, ...at);
  const served = await fabric.serve(data);
  const since = served.log().length;
  const lines = (): string[] => served.log().slice(since).split('\n').filter(Boolean);
  await own.kill();
  // The node says that it serves every five seconds, alarms are looked for every second, and somebody asks for something.
  await wait(12_000);
  expect(await fabric.refusal('network', 'add', 'fd00:4::/64', ...at)).toMatchObject({
    code: 'registry.unreachable',
  });
  expect(lines()).toEqual([expect.stringMatching(/error .*database server cannot be used: /)]);
  await own.start();
  // After that it may say of itself that the others had taken it for lost.
  const ofDatabase = (): string[] => lines().filter((line) => !line.includes('take it for lost'));
  await expect.poll(ofDatabase, { timeout: 20_000 }).toHaveLength(2);
  expect(ofDatabase()[1]).toMatch(
    /notice .*the registry answers again after \d+ s; \d+ lines of what failed left out$/,
  );
  await served.stop();
}, 120_000);
