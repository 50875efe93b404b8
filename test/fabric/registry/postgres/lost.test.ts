import { once } from 'node:events';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import { expect, onTestFinished, test } from 'vitest';
import { openLink } from '../../../../fabric/registry/postgres/link.ts';
import { makeServerRegistry, openServerRegistry } from '../../../../fabric/registry/postgres/registry.ts';
import { anyGroup, NETWORK, scratch, wholeOf } from '../../place.ts';
import { applicant } from '../contract/place.ts';
import { ownServer, type Server } from './server.ts';

/** A way to the server that passes all, nothing, or so many statements of each connection before that is cut. */
type State = { state: 'open' | 'silent' } | { state: 'cut'; left: number; drop: true };

async function wayTo(server: Server) {
  const worker = new Worker(new URL('way.mjs', import.meta.url), {
    workerData: join(server.folder, '.s.PGSQL.5432'),
  });
  onTestFinished(async () => void (await worker.terminate()));
  const [port] = (await once(worker, 'message')) as [number];
  return {
    url: (database: string) => `postgres://enf@127.0.0.1:${port}/${database}`,
    async be(state: State) {
      worker.postMessage(state);
      await once(worker, 'message');
    },
  };
}

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

test('a connection that ends while it is made fails what is asked, and nothing else', async () => {
  const { way, link } = await place();
  const opened = link(way.url('enf'));
  await way.be({ state: 'cut', left: 0, drop: true });
  expect(() => opened.ask('write', { sql: 'SELECT 1' })).toThrow(expect.objectContaining(UNREACHABLE));
  await way.be({ state: 'open' });
  await expect
    .poll(
      () =>
        opened.send('write', { sql: 'SELECT 1' }).then(
          ({ rows }) => rows,
          () => undefined,
        ),
      { timeout: 20_000 },
    )
    .toEqual([['1']]);
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
  await registry.verifyAudit();
}, 90_000);

test('while a server cannot be reached, what is asked is refused without waiting for it', async () => {
  const { way, link } = await place();
  const opened = link(way.url('enf'));
  opened.ask('read', { sql: 'SELECT 1' });
  await way.be({ state: 'silent' });
  expect(() => opened.ask('read', { sql: 'SELECT 1' })).toThrow('within 6 seconds');
  // Those that do not answer in time say so with these words; those that are refused at once do not.
  for (let asked = 0; asked < 5; asked++) {
    expect(() => opened.ask('read', { sql: 'SELECT 1' })).toThrow(/it does not answer \(|timeout/);
    await wait(500);
  }
}, 60_000);
