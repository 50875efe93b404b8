import { randomBytes } from 'node:crypto';
import { expect, onTestFinished, test } from 'vitest';
import { serverQueue, type Together } from '../../../../fabric/registry/postgres/commit-queue.ts';
import { serverDatabase } from '../../../../fabric/registry/postgres/connection.ts';
import { type Link, openLink } from '../../../../fabric/registry/postgres/link.ts';
import { makeServerRegistry } from '../../../../fabric/registry/postgres/registry.ts';
import { prepare } from '../../../../fabric/registry/sql/base/statements.ts';
import { ownServer } from './own-server.ts';

/** Longer than an index of the server takes. */
const TOO_LONG = randomBytes(9_000).toString('hex');
const REFUSED = { code: '54000' };

async function place() {
  const server = await ownServer();
  server.sql('postgres', 'CREATE DATABASE enf');
  await makeServerRegistry([server.url('enf')], 'test', 1_000);
  const open = () => {
    const link = openLink([server.url('enf')]);
    onTestFinished(() => link.close());
    return link;
  };
  const link = open();
  const db = serverDatabase(link);
  const insert = (name: string): string => {
    prepare(db, 'INSERT INTO counter VALUES (?, 1)').run(name);
    return name;
  };
  const names = () =>
    prepare(db, "SELECT name FROM counter WHERE name LIKE 'job%' ORDER BY name").pluck().all();
  const fail = () => prepare(db, 'SELECT 1 / 0 FROM counter').all();
  const count = () => prepare(db, 'SELECT count(*) FROM owner').all();
  /** How long the server has a job wait for a lock, and for a statement. */
  const patience = () =>
    prepare(db, "SELECT current_setting('lock_timeout'), current_setting('statement_timeout')").raw().get();
  /** Another process does something in a transaction; returns how it ends that. */
  const keep = (sql: string): (() => void) => {
    const other = open();
    const begin = `BEGIN; SET LOCAL idle_in_transaction_session_timeout = 0; ${sql}`;
    other.ask('write', { sql: begin, begins: 1 });
    return () => void other.ask('write', { sql: 'COMMIT', transaction: 1 });
  };
  /** How many turns to write were asked for, and how many of them did not come. */
  const turns = { asked: 0, missed: 0 };
  /** How often the newest audit entry was not read. */
  let headless = 0;
  const watched: Link = {
    ...link,
    async send(name, query) {
      const begins = query.begins !== undefined;
      if (begins) turns.asked++;
      try {
        return await link.send(name, query);
      } catch (error) {
        if (begins) turns.missed++;
        if (query.statement === 'head') headless++;
        throw error;
      }
    },
  };
  const queue = serverQueue(db, watched, () => {});
  return { queue, insert, names, fail, count, patience, keep, turns, headless: () => headless };
}

/** What a process does in its turn to write. */
const WRITE = "SELECT pg_advisory_xact_lock(hashtextextended('enf', 0))";
const LOCKED = { code: 'registry.locked', remedy: 'retry' };

test('a job whose statement the server refuses fails alone; those before and behind it are done once', async () => {
  const { queue, insert, names } = await place();
  const done = await Promise.allSettled(
    ['job1', TOO_LONG, 'job2', TOO_LONG, 'job3'].map((name) => queue.submit(() => insert(name))),
  );
  expect(done.map(({ status }) => status)).toEqual([
    'fulfilled',
    'rejected',
    'fulfilled',
    'rejected',
    'fulfilled',
  ]);
  expect(done[1]).toMatchObject({ reason: REFUSED });
  expect(names()).toEqual(['job1', 'job2', 'job3']);
});

test('of jobs that are done together, the one that the server refuses fails alone', async () => {
  const { queue, insert, names } = await place();
  const kind: Together<string, string> = {
    together: (all) => ({
      query: {
        sql: 'INSERT INTO counter SELECT value, 1 FROM json_each($1)',
        values: [JSON.stringify(all)],
      },
      results: () => all,
    }),
    alone: insert,
  };
  const done = await Promise.allSettled(
    ['job1', 'job2', TOO_LONG, 'job3'].map((name) => queue.submitTogether(kind, name)),
  );
  expect(done.map(({ status }) => status)).toEqual(['fulfilled', 'fulfilled', 'rejected', 'fulfilled']);
  expect(names()).toEqual(['job1', 'job2', 'job3']);
});

test('a job that throws is undone alone, also if it goes on after what it tried', async () => {
  const { queue, insert, names } = await place();
  const done = await Promise.allSettled([
    queue.submit(() => insert('job1')),
    queue.submit(() => {
      insert('job2');
      throw new Error('no');
    }),
    queue.submit(() => insert('job2')),
  ]);
  expect(done.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled']);
  expect(names()).toEqual(['job1', 'job2']);
});

test('what was answered is written, also if a job hides that a statement has failed', async () => {
  const { queue, insert, names, fail } = await place();
  const done = await Promise.allSettled([
    queue.submit(() => insert('job1')),
    queue.submit(() => {
      try {
        fail();
      } catch {
        // As if nothing had been.
      }
    }),
  ]);
  expect(done.map(({ status }) => status)).toEqual(['fulfilled', 'rejected']);
  expect(names()).toEqual(['job1']);
});

test('jobs whose turn to write does not come in time have another one', async () => {
  const { queue, insert, names, keep, turns } = await place();
  const end = keep(WRITE);
  const done = Promise.allSettled(['job1', 'job2'].map((name) => queue.submit(() => insert(name))));
  await expect.poll(() => turns.missed, { timeout: 20_000 }).toBe(1);
  end();
  expect((await done).map(({ status }) => status)).toEqual(['fulfilled', 'fulfilled']);
  expect(names()).toEqual(['job1', 'job2']);
});

test('jobs whose second turn to write does not come in time either fail; those that came in between have their second one', async () => {
  const { queue, insert, names, keep, turns } = await place();
  const end = keep(WRITE);
  const first = queue.submit(() => insert('job1'));
  await expect.poll(() => turns.asked, { timeout: 20_000 }).toBe(2);
  const later = queue.submit(() => insert('job2'));
  await expect(first).rejects.toMatchObject(LOCKED);
  expect(turns.missed).toBe(2);
  end();
  expect(await later).toBe('job2');
  expect(names()).toEqual(['job2']);
});

test('a job whose statement waits for a lock for too long fails alone; those before and behind it are done once', async () => {
  const { queue, insert, names, keep, count, patience } = await place();
  expect(await queue.submit(patience)).toEqual(['2s', '4s']);
  keep('LOCK TABLE owner IN ACCESS EXCLUSIVE MODE');
  const done = await Promise.allSettled([
    queue.submit(() => insert('job1')),
    queue.submit(() => count()),
    queue.submit(() => insert('job2')),
  ]);
  expect(done.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled']);
  expect(done[1]).toMatchObject({ reason: LOCKED });
  expect(names()).toEqual(['job1', 'job2']);
  // What else takes too long does so for a shorter time.
  expect(await queue.submit(patience)).toEqual(['100ms', '1s']);
});

test('jobs behind which the audit trail is not read in time are done with the next turn, the last of them, too', async () => {
  const { queue, insert, names, keep, headless } = await place();
  // A new connection looks at the trail, too.
  await queue.submit(() => insert('job0'));
  const end = keep('LOCK TABLE audit IN ACCESS EXCLUSIVE MODE');
  const done = Promise.allSettled(['job1', 'job2'].map((name) => queue.submit(() => insert(name))));
  await expect.poll(headless, { timeout: 20_000 }).toBe(1);
  end();
  expect((await done).map(({ status }) => status)).toEqual(['fulfilled', 'fulfilled']);
  expect(names()).toEqual(['job0', 'job1', 'job2']);
});
