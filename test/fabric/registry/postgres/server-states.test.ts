import { join } from 'node:path';
import { expect, onTestFinished, test, vi } from 'vitest';
import { makeServerRegistry, openServerRegistry } from '../../../../fabric/registry/postgres/registry.ts';
import { serverStates } from '../../../../fabric/registry/postgres/server-states.mjs';
import { serverPlace } from '../../../../fabric/registry/postgres/servers.ts';
import { parsePrefix } from '../../../../protocol/ipv6.ts';
import { scratch, wholeOf } from '../../place.ts';
import { ownServer } from './own-server.ts';

/** Servers are looked at more often than otherwise. */
vi.mock('../../../../fabric/registry/postgres/times.ts', async (original) => ({
  ...(await original<object>()),
  LOOK_MS: 500,
}));

const primary = (log: number, used = true) => ({
  ...{ place: 'a', used, system: '1', timeline: 2, log },
});
const standby = (log: number, system = '1') => ({ place: 'b', used: false, system, log });
const away = { place: 'b', used: false, why: 'gone' };

test('a standby is behind since it lacked what was written then, until it has that', () => {
  const states = serverStates();
  const late = (own: number, its: number, now: number) =>
    states([primary(own), standby(its)], now)[1]!.behind;
  expect(late(10, 10, 1)).toBeUndefined();
  // One that keeps up lacks the newest of each time, and has that of the time before.
  expect(late(20, 19, 2)).toEqual({ since: 2, bytes: 1 });
  expect(late(30, 29, 3)).toEqual({ since: 3, bytes: 1 });
  // One that does not lacks it as long as it takes.
  expect(late(40, 29, 4)).toEqual({ since: 3, bytes: 11 });
  expect(late(50, 29, 5)).toEqual({ since: 3, bytes: 21 });
  expect(late(60, 31, 6)).toEqual({ since: 6, bytes: 29 });
  expect(late(60, 60, 7)).toBeUndefined();
  expect(late(70, 60, 8)).toEqual({ since: 8, bytes: 10 });
});

test('a standby of another database never has what it lacks; without a server that is used nothing is said of it', () => {
  const states = serverStates();
  expect(states([primary(10), standby(99, '2')], 1)[1]!.behind).toEqual({ since: 1 });
  expect(states([primary(10), standby(99, '2')], 2)[1]!.behind).toEqual({ since: 1 });
  expect(states([primary(10, false), standby(5)], 3)[1]).toEqual({
    ...{ place: 'b', at: 3, primary: false, used: false },
  });
  expect(states([primary(10), standby(5)], 4)[1]!.behind).toEqual({ since: 4, bytes: 5 });
});

test('a server is lost since there was no connection first, and what it lacks once it is back counts from then on', () => {
  const states = serverStates();
  const second = (it: typeof away | ReturnType<typeof standby>, now: number) =>
    states([primary(10), it], now)[1];
  expect(second(standby(5), 1)).toMatchObject({ behind: { since: 1 } });
  expect(second(away, 2)).toEqual({
    ...{ place: 'b', at: 2, primary: false, used: false, lost: { since: 2, why: 'gone' } },
  });
  expect(second(away, 3)).toMatchObject({ at: 3, lost: { since: 2 } });
  expect(second(standby(5), 4)).toEqual({
    ...{ place: 'b', at: 4, primary: false, used: false, behind: { since: 4, bytes: 5 } },
  });
  expect(second(away, 5)).toMatchObject({ lost: { since: 5 } });
});

test('a node that serves knows which servers take changes, and which are away or behind', async () => {
  const first = await ownServer();
  first.sql('postgres', 'CREATE DATABASE enf');
  await makeServerRegistry([first.url('enf')], 'test', 1_000);
  const second = await ownServer({}, first);
  const urls = [first.url('enf'), second.url('enf')];
  const [one, other] = urls.map(serverPlace);
  const registry = wholeOf(openServerRegistry(urls, join(scratch(), 'registry.url')));
  onTestFinished(() => registry.close());
  expect(registry.servers()).toEqual([]);
  onTestFinished(await registry.follow(60_000));
  const seen = () => expect.poll(() => registry.servers(), { timeout: 20_000 });

  const used = { place: one, primary: true, used: true };
  await seen().toMatchObject([used, { place: other, primary: false, used: false }]);
  second.sql('enf', 'SELECT pg_wal_replay_pause()');
  await registry.addNetwork('owner', parsePrefix('fd00:1::/64'), '');
  await seen().toMatchObject([used, { behind: { bytes: expect.any(Number) } }]);
  const [, late] = registry.servers();
  await seen().toMatchObject([{ at: expect.toSatisfy((at: number) => at > late!.at) }, {}]);
  expect(registry.servers()[1]!.behind?.since).toBe(late!.behind!.since);

  await second.kill();
  await seen().toMatchObject([used, { lost: { why: expect.any(String) } }]);
  await second.start();
  await seen().toMatchObject([used, { primary: false, used: false, behind: undefined, lost: undefined }]);

  second.sql('postgres', 'SELECT pg_promote()');
  await seen().toMatchObject([
    { place: one, primary: true, used: false },
    { place: other, primary: true, used: true },
  ]);
}, 60_000);
