import { expect, test } from 'vitest';
import { prepare } from '../../../../fabric/registry/sql/base/statements.ts';
import { connect } from '../../../../fabric/registry/sqlite/connect.ts';
import { opened, random, registryFile } from '../../place.ts';

const LOAD = { tunnels: 1, load: 0 };

test('a node whose joining a failover has lost takes its name back from its former process, and from no later one', async () => {
  const path = registryFile();
  let now = 1_000_000;
  const registry = opened(path, { now: () => now });
  const node = { name: 'a', version: '1', installation: random(32) };
  await registry.join(node);
  const file = connect(path);
  /** As the row of another process of the same installation, that says that it serves. */
  const is = (started: number): unknown =>
    prepare(file, 'UPDATE node SET run = ?, started = ?, seen = ?').run(random(16), started, now);
  is(now - 5_000);
  expect(await registry.beat(LOAD)).toEqual({ replaced: true, wasLost: false });
  await registry.join(node);
  expect(await registry.beat(LOAD)).toEqual({ replaced: false, wasLost: false });
  now += 1_000;
  is(now);
  expect(await registry.beat(LOAD)).toEqual({ replaced: true, wasLost: false });
  await expect(registry.join(node)).rejects.toMatchObject({ code: 'node.name-in-use' });
  file.close();
});
