import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { scratch } from '../place.ts';
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
