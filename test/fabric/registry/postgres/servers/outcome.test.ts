import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { expect, onTestFinished, test } from 'vitest';
import { makeServerRegistry, openServerRegistry } from '../../../../../fabric/registry/postgres/registry.ts';
import { toHex } from '../../../../../protocol/bytes.ts';
import { allOf, anyGroup, NETWORK, scratch, wholeOf } from '../../../place.ts';
import { applicant } from '../../contract/place.ts';
import { ownServer } from '../own-server.ts';
import { wayTo } from './way.ts';

/** A node whose way to the server can lose a commit. `standby`: there is one, which has to have each commit. */
async function place(standby = false) {
  const server = await ownServer();
  server.sql('postgres', 'CREATE DATABASE enf');
  await makeServerRegistry([server.url('enf')], 'test', 1_000);
  const second = standby ? await ownServer({}, server) : undefined;
  if (second !== undefined) {
    server.sql('postgres', "ALTER SYSTEM SET synchronous_standby_names = 'standby'");
    server.sql('postgres', 'SELECT pg_reload_conf()');
  }
  const way = await wayTo(server);
  const path = join(scratch(), 'registry.url');
  writeFileSync(path, '', { mode: 0o600 });
  const urls = [way.url('enf'), ...(second === undefined ? [] : [second.url('enf')])];
  const registry = wholeOf(openServerRegistry(urls, path));
  onTestFinished(() => registry.close());
  await registry.addNetwork('owner', NETWORK, 'plant');
  const group = await registry.addGroup('owner', anyGroup());
  const devices = async () =>
    (await allOf((page) => registry.devices(page))).map(({ address }) => toHex(address));
  return { server, second, way, registry, group, devices };
}

const admitting = (
  registry: Awaited<ReturnType<typeof place>>['registry'],
  group: Parameters<typeof applicant>[0],
) => registry.admit(applicant(group)).then(toHex, ({ code }) => code as string);

test('a commit whose answer is lost is told as done, and what it did is there once', async () => {
  const { way, registry, group, devices } = await place();
  await way.be({ state: 'unanswered', next: 'open' });
  const given = await Promise.all(Array.from({ length: 5 }, () => admitting(registry, group)));
  expect(await devices()).toEqual(expect.arrayContaining(given));
  expect(await devices()).toHaveLength(5);
  await registry.verifyAudit();
});

test('a commit that did not reach the server is told as not done', async () => {
  const { way, registry, group, devices } = await place();
  await way.be({ state: 'unsent', next: 'open' });
  expect(await admitting(registry, group)).toBe('registry.unreachable');
  const address = await admitting(registry, group);
  expect(await devices()).toEqual([address]);
  await registry.verifyAudit();
});

test('a commit of which no server says whether it was done is told as that, and what is in no trail, too', async () => {
  const { way, registry, group, devices } = await place();
  await way.be({ state: 'unanswered', next: 'cut' });
  expect(await admitting(registry, group)).toBe('registry.outcome-unknown');
  await way.be({ state: 'open' });
  await expect.poll(() => devices().catch(() => []), { timeout: 20_000 }).toHaveLength(1);
  await expect.poll(() => admitting(registry, group), { timeout: 20_000 }).toMatch(/^[0-9a-f]{32}$/);
  await way.be({ state: 'unanswered', next: 'open' });
  await expect(
    registry.refused({ source: '192.0.2.9', proven: false, result: 'xtt.bad-signature' }),
  ).rejects.toMatchObject({ code: 'registry.outcome-unknown', remedy: 'retry' });
}, 60_000);

test('a commit whose answer is lost with its server is told as done if the standby that is promoted has it', async () => {
  const { server, second, way, registry, group, devices } = await place(true);
  await way.be({ state: 'unanswered', next: 'cut' });
  const given = admitting(registry, group);
  await expect
    .poll(() => second!.sql('enf', 'SELECT count(*) FROM enf.device'), { timeout: 20_000 })
    .toBe('1');
  await server.kill();
  second!.sql('postgres', 'SELECT pg_promote()');
  expect(await given).toMatch(/^[0-9a-f]{32}$/);
  await expect.poll(() => devices().catch(() => []), { timeout: 20_000 }).toEqual([await given]);
  await registry.verifyAudit();
}, 60_000);

test('a commit waits for the standby that has to have it, however long that is away', async () => {
  const { server, second, registry, group } = await place(true);
  await second!.kill();
  let answered = false;
  const given = admitting(registry, group).finally(() => {
    answered = true;
  });
  const waits = () =>
    server.sql('postgres', "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep'");
  await expect.poll(waits, { timeout: 20_000 }).toBe('1');
  // Longer than the server gives other statements.
  await wait(5_000);
  expect([answered, waits()]).toEqual([false, '1']);
  await second!.start();
  expect(await given).toMatch(/^[0-9a-f]{32}$/);
}, 60_000);
