import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { LOST_MS } from '../../../../fabric/registry/nodes.ts';
import { openServerReader, openServerRegistry } from '../../../../fabric/registry/postgres/registry.ts';
import { allOf, anyGroup, NETWORK, scratch, wholeOf } from '../../place.ts';
import { node } from '../contract/nodes/place.ts';
import { applicant } from '../contract/place.ts';
import { registriesOfFile } from './registries.ts';

const made = registriesOfFile();
const HOUR_MS = 3_600_000;

test('nodes whose hosts have wrong clocks know of each other that they serve, and when one does not', async () => {
  const name = made.registry();
  const urls = [made.server.url(name)];
  const host = (wrongByMs: number) => {
    const options = { now: () => Date.now() + wrongByMs };
    const registry = wholeOf(openServerRegistry(urls, join(scratch(), 'registry.url'), options));
    onTestFinished(() => registry.close());
    return registry;
  };
  const [a, b, other] = [host(HOUR_MS), host(-HOUR_MS), host(0)];
  await a.addNetwork('owner', NETWORK, '');
  const address = await a.admit(applicant(await a.addGroup('owner', anyGroup())));
  await a.join(node('a'));
  await b.join(node('b'));
  await b.attach(address, '192.0.2.1');
  const reader = openServerReader(urls, join(scratch(), 'registry.url'))!;
  onTestFinished(() => reader.close());
  const states = async (registry: typeof reader | typeof a) =>
    (await allOf(registry.nodes)).map(({ state }) => state);
  for (const each of [a, b]) {
    expect(await each.beat({ tunnels: 0, load: 0 })).toEqual({ replaced: false, wasLost: false });
    expect(await each.sweepLost()).toBe(false);
  }
  for (const each of [a, b, reader]) expect(await states(each)).toEqual(['serving', 'serving']);
  expect([a, b].map((each) => each.leads())).toEqual([true, false]);
  await expect(other.join(node('b'))).rejects.toMatchObject({ code: 'node.name-in-use' });
  await expect(a.removeNode('owner', 'b')).rejects.toMatchObject({ code: 'node.serving' });
  expect(Math.abs((await a.node('b')).seen - Date.now())).toBeLessThan(HOUR_MS / 2);

  made.server.sql(name, `UPDATE enf.node SET seen = seen - ${LOST_MS} WHERE name = 'b'`);
  for (const each of [a, b, reader]) expect(await states(each)).toEqual(['serving', 'lost']);
  expect(await a.sweepLost()).toBe(true);
  expect(await a.sweepLost()).toBe(false);
  expect(b.lookup(address)?.attached).toEqual({ generation: 1 });
  expect((await b.beat({ tunnels: 1, load: 0 })).wasLost).toBe(true);
  expect(await states(a)).toEqual(['serving', 'serving']);
});
