import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { expect, onTestFinished, test, vi } from 'vitest';
import {
  StatementError,
  tookTooLong,
  unreachable,
} from '../../../../../fabric/registry/postgres/failures.ts';
import { heldJobs, heldStatements } from '../../../../../fabric/registry/postgres/held.ts';
import { openLink } from '../../../../../fabric/registry/postgres/link.ts';
import { makeServerRegistry, openServerRegistry } from '../../../../../fabric/registry/postgres/registry.ts';
import { CAUTIOUS_MS, HELD_MS, REST_MS } from '../../../../../fabric/registry/postgres/times.ts';
import { Failure } from '../../../../../protocol/failure.ts';
import { anyGroup, NETWORK, random, scratch, wholeOf } from '../../../place.ts';
import { applicant } from '../../contract/place.ts';
import { ownServer } from '../own-server.ts';

vi.mock('../../../../../fabric/registry/postgres/times.ts', async (original) => ({
  ...(await original<object>()),
  ...{ STATEMENT_MS: 1_000, LOCK_MS: 500, REST_MS: 100 },
}));

const LOCKED = { code: 'registry.locked', remedy: 'retry' };

/** A registry with a device, on a server that says which statements it has ended. */
async function place() {
  const server = await ownServer({ logging_collector: 'on', log_line_prefix: '%a: ' });
  server.sql('postgres', 'CREATE DATABASE enf');
  const urls = [server.url('enf')];
  await makeServerRegistry(urls, 'test', 1_000);
  const registry = wholeOf(openServerRegistry(urls, join(scratch(), 'registry.url')));
  onTestFinished(() => registry.close());
  await registry.addNetwork('owner', NETWORK, 'plant');
  const address = await registry.admit(applicant(await registry.addGroup('owner', anyGroup())));
  const logs = join(server.folder, 'data', 'log');
  /** How many statements that this process waited for were ended so far, and how many that were asked beside. */
  const ended = (name: 'read' | 'write' | 'beside'): number => {
    const lines = readdirSync(logs).flatMap((file) => readFileSync(join(logs, file), 'utf8').split('\n'));
    return lines.filter((line) => line.startsWith(`enf-fabric ${name}: ERROR:  canceling statement`)).length;
  };
  return { server, registry, address, ended };
}

/** Another process locks a table; returns how it ends that. */
function lock(url: string, table: string): () => void {
  const other = openLink([url]);
  const sql = `BEGIN; SET LOCAL idle_in_transaction_session_timeout = 0; LOCK TABLE ${table}`;
  other.ask('write', { sql, begins: 1 });
  onTestFinished(() => other.close());
  return () => void other.ask('write', { sql: 'COMMIT', transaction: 1 });
}

test('while a table is locked one of ten statements that read it waits, what reads others goes on, and it is read again once that has ended', async () => {
  const { server, registry, address, ended } = await place();
  const unlock = lock(server.url('enf'), 'device');
  for (let asked = 0; asked < 10; asked++) {
    expect(() => registry.lookup(address)).toThrow(expect.objectContaining(LOCKED));
    if (asked > 3) await wait(REST_MS);
  }
  await expect.poll(() => ended('read')).toBe(1);
  // It was asked again meanwhile, where nobody waits for it.
  await expect.poll(() => ended('beside'), { timeout: 10_000 }).toBeGreaterThan(0);
  const entries = async () => (await registry.audit({ limit: 1 })).rows.length;
  await expect.poll(() => entries().catch(() => undefined), { timeout: 10_000 }).toBe(1);
  unlock();
  const standing = async () => registry.lookup(address)?.standing;
  await expect.poll(() => standing().catch(() => undefined), { timeout: 10_000 }).toBe('active');
  expect(ended('read')).toBe(1);
}, 60_000);

test('while a table is locked few of ten jobs that need it wait, those that do not are done, and they are done again once that has ended', async () => {
  const { server, registry, address, ended } = await place();
  await registry.join({ name: 'a', version: '1', installation: random(32) });
  const unlock = lock(server.url('enf'), 'device');
  const bans = Array.from({ length: 10 }, () => registry.setStanding('owner', address, 'ban'));
  const renamed = registry.renameNetwork('owner', NETWORK, 'works', '');
  const done = await Promise.allSettled(bans);
  expect(done.map(({ status }) => status)).toEqual(Array(10).fill('rejected'));
  for (const each of done) expect(each).toMatchObject({ reason: LOCKED });
  // The server's log comes a moment later.
  await expect.poll(() => ended('write')).toBeGreaterThan(0);
  expect(ended('write')).toBeLessThan(5);
  await renamed;
  // The others hear that it serves.
  await registry.beat({ tunnels: 0, load: 0 });
  unlock();
  const ban = () => registry.setStanding('owner', address, 'ban').then(String, ({ code }) => code);
  await expect.poll(ban, { timeout: 10_000 }).not.toBe(LOCKED.code);
  expect(registry.lookup(address)?.standing).toBe('banned');
  const names = async () => (await registry.networks({ limit: 10 })).rows.map(({ name }) => name);
  expect(await names()).toEqual(['works']);
  await registry.verifyAudit();
}, 60_000);

test('a statement that the server ends is not waited for again before it was answered; another one is, a moment later', async () => {
  const { server } = await place();
  const link = openLink([server.url('enf')]);
  onTestFinished(() => link.close());
  const failure = (sql: string): unknown => {
    try {
      return link.ask('read', { sql }) && undefined;
    } catch (error) {
      return error;
    }
  };
  const slow = 'SELECT pg_sleep(3)';
  const first = failure(slow);
  expect(first).toMatchObject(LOCKED);
  await wait(2 * REST_MS);
  // What is not waited for fails as it did before.
  expect(failure(slow)).toBe(first);
  expect(failure('SELECT 1')).toBeUndefined();
  // What changes something is not held up by what is read.
  expect(link.ask('write', { sql: 'SELECT 1' }).rows).toEqual([['1']]);
}, 60_000);

/** Statements whose answers beside the thread come when the test says so, and a clock that goes when it does. */
function holding() {
  let now = 0;
  const beside: { sql: string; values?: readonly unknown[]; answer: (error?: unknown) => Promise<void> }[] =
    [];
  const held = heldStatements(
    (query) =>
      new Promise<void>((resolve, reject) => {
        beside.push({
          ...query,
          async answer(error) {
            if (error === undefined) resolve();
            else reject(error);
            await wait();
          },
        });
      }),
    () => now,
  );
  return {
    beside,
    pass: (ms: number) => {
      now += ms;
    },
    fail: (sql: string, error: unknown, ...values: string[]) => held.failed({ sql, values }, error),
    /** What refuses a statement. */
    refusal(sql: string, ...values: string[]): unknown {
      try {
        held.refuse({ sql, values });
        return undefined;
      } catch (error) {
        return error;
      }
    },
  };
}

const busy = (code: string): Failure =>
  new Failure('registry.locked', 'retry', 'busy', { cause: new StatementError({ code, message: 'no' }) });

test('only what took too long is held: no other error of the server, and none of the way to it', () => {
  const { fail, refusal } = holding();
  for (const error of [
    busy('40P01'),
    unreachable('no'),
    new StatementError({ code: '42601', message: 'no' }),
  ]) {
    fail('a', error);
    expect(refusal('a')).toBeUndefined();
  }
  for (const code of ['55P03', '57014']) {
    const error = busy(code);
    fail('a', error);
    expect(refusal('a')).toBe(error);
    expect(refusal('b')).toBe(error);
  }
});

test('what is held is asked again a second later, one at a time, and fails as that has', async () => {
  const { beside, pass, fail, refusal } = holding();
  const [one, other] = [busy('55P03'), busy('57014')];
  fail('a', one);
  pass(REST_MS);
  fail('b', other);
  expect(refusal('a')).toBe(other);
  pass(REST_MS);
  expect(beside).toEqual([]);
  expect(refusal('a')).toBe(one);
  expect(refusal('b')).toBe(other);
  expect(refusal('c')).toBeUndefined();
  expect(beside).toMatchObject([{ sql: 'a' }]);
  // Where the server went away meanwhile, that is said.
  const away = unreachable('no');
  await beside[0]!.answer(away);
  expect(refusal('a')).toBe(away);
  expect(refusal('b')).toBe(other);
  expect(beside).toMatchObject([{ sql: 'a' }, { sql: 'b' }]);
  await beside[1]!.answer();
  expect(refusal('b')).toBeUndefined();
  expect(refusal('a')).toBe(away);
  pass(REST_MS);
  expect(refusal('a')).toBe(away);
  await beside[2]!.answer(new StatementError({ code: '42601', message: 'no' }));
  expect(refusal('a')).toBeUndefined();
});

test('what took too long with some values is asked with others, and held until it has answered those', async () => {
  const { beside, pass, fail, refusal } = holding();
  const slow = busy('57014');
  fail('a', slow, 'many');
  pass(REST_MS);
  expect(refusal('a', 'few')).toBeUndefined();
  expect(refusal('a', 'many')).toBe(slow);
  expect(beside).toMatchObject([{ sql: 'a', values: ['many'] }]);
  expect(refusal('a', 'few')).toBeUndefined();
  await beside[0]!.answer();
  expect(refusal('a', 'many')).toBeUndefined();
});

test.each([
  ['the same statement', 'a'],
  ['another one', 'b'],
])(
  'what took too long while %s is held is held whatever the values, until it has answered any; with those for longer',
  async (_, sql) => {
    const { beside, pass, fail, refusal } = holding();
    const [one, other] = [busy('57014'), busy('57014')];
    fail('a', one, 'many');
    pass(REST_MS);
    fail(sql, other, 'more');
    pass(REST_MS);
    expect(refusal('c', 'few')).toBeUndefined();
    expect(refusal(sql, 'few')).toBe(other);
    expect(beside).toMatchObject([{ sql, values: ['few'] }]);
    await beside[0]!.answer();
    expect(refusal(sql, 'few')).toBeUndefined();
    expect(refusal('a', 'many')).toBe(one);
    expect(refusal(sql, 'more')).toBe(other);
  },
);

test('what has waited for a lock is held whatever the values', () => {
  const { pass, fail, refusal } = holding();
  const locked = busy('55P03');
  fail('a', locked, '1');
  pass(REST_MS);
  expect(refusal('a', '2')).toBe(locked);
});

test('what nobody wants any more is waited for again, and does not count when others take too long', () => {
  const { beside, pass, fail, refusal } = holding();
  fail('a', busy('57014'), 'many');
  // Wanted again and again it stays.
  for (let asked = 0; asked < 3; asked++) {
    pass(HELD_MS - 1);
    expect(refusal('a', 'many')).toBeDefined();
  }
  expect(beside).toMatchObject([{ sql: 'a' }]);
  pass(HELD_MS);
  fail('a', busy('57014'), 'more');
  pass(REST_MS);
  expect(refusal('a', 'few')).toBeUndefined();
  expect(refusal('a', 'many')).toBeUndefined();
  expect(refusal('a', 'more')).toBeDefined();
});

test('of very many statements the oldest are waited for again', () => {
  const { pass, fail, refusal } = holding();
  for (let n = 0; n < 250; n++) fail(`s${n}`, busy('55P03'));
  pass(REST_MS);
  const held = Array.from({ length: 250 }, (_, n) => refusal(`s${n}`) !== undefined);
  expect(held).toEqual([...Array(50).fill(false), ...Array(200).fill(true)]);
});

test('of jobs one statement is tried again each second, and a job that is refused does not end the transaction of others', () => {
  let now = 0;
  const held = heldJobs(() => now);
  const isRefused = (sql: string): boolean => {
    try {
      held.refuse({ sql });
      return false;
    } catch (error) {
      expect(error).toMatchObject(LOCKED);
      expect(tookTooLong(error)).toBe(false);
      return true;
    }
  };
  expect(held.isCautious()).toBe(false);
  held.failed({ sql: 'a' }, unreachable('no'));
  expect(isRefused('a')).toBe(false);
  for (const sql of ['a', 'b']) held.failed({ sql }, busy('55P03'));
  expect(['a', 'b', 'c'].map(isRefused)).toEqual([true, true, false]);
  now += REST_MS;
  expect(['b', 'a', 'b'].map(isRefused)).toEqual([false, true, false]);
  held.failed({ sql: 'b' }, busy('57014'));
  now += REST_MS - 1;
  expect(['a', 'b'].map(isRefused)).toEqual([true, true]);
  now += 1;
  expect(['a', 'b'].map(isRefused)).toEqual([false, true]);
  expect(held.isCautious()).toBe(true);
  now += CAUTIOUS_MS;
  expect(held.isCautious()).toBe(false);
});

test('what the caution itself has ended does not prolong it, but a lock that lasts does', () => {
  let now = 0;
  const held = heldJobs(() => now);
  const cautiousAfter = (code: string, ms: number): boolean => {
    now += ms;
    held.failed({ sql: 'a' }, busy(code));
    return held.isCautious();
  };
  expect(cautiousAfter('57014', 0)).toBe(true);
  expect(cautiousAfter('57014', CAUTIOUS_MS - 1)).toBe(true);
  now += 1;
  expect(held.isCautious()).toBe(false);
  // With its whole time it has failed again.
  expect(cautiousAfter('57014', 0)).toBe(true);
  expect(cautiousAfter('55P03', CAUTIOUS_MS - 1)).toBe(true);
  now += CAUTIOUS_MS - 1;
  expect(held.isCautious()).toBe(true);
  now += 1;
  expect(held.isCautious()).toBe(false);
});
