import { describe, expect, test } from 'vitest';
import type { StandingChange } from '../../../../fabric/registry/records.ts';
import { prepare } from '../../../../fabric/registry/sql/base/statements.ts';
import { connect } from '../../../../fabric/registry/sqlite/connect.ts';
import { allOf, anyGroup, NETWORK, opened, registryFile } from '../../place.ts';
import { applicant } from '../contract/place.ts';

/** A registry with devices in one group, how many rows of it anything has written so far, and a look at its file. */
async function withDevices(count: number) {
  const path = registryFile();
  const registry = opened(path);
  await registry.addNetwork('owner', NETWORK, '');
  const { gid } = await registry.addGroup('owner', anyGroup());
  const addresses = await Promise.all(
    Array.from({ length: count }, () => registry.admit(applicant({ gid }))),
  );
  const file = connect(path, { readonly: true });
  const number = (sql: string): number => prepare(file, sql).pluck().get() as number;
  return { path, registry, gid, addresses, number };
}

describe('[H-E] what a group is asked for costs the same whatever its size', () => {
  test.each([1, 300])('a suspension writes no device of %i, and one change', async (count) => {
    const { path, registry, gid, number } = await withDevices(count);
    const db = connect(path);
    db.exec("CREATE TRIGGER untouched BEFORE UPDATE ON device BEGIN SELECT RAISE (ABORT, 'a device'); END");
    db.close();
    const [changes, entries] = ['SELECT count(*) FROM change', 'SELECT count(*) FROM audit'].map(number);
    expect(await registry.setGroupStatus('owner', gid, 'suspended')).toBe(true);
    expect(number('SELECT count(*) FROM change')).toBe(changes! + 1);
    expect(number('SELECT count(*) FROM audit')).toBe(entries! + 1);
  });

  test('the number of devices is kept, not counted', async () => {
    const { path, registry, gid } = await withDevices(7);
    const other = await registry.addGroup('owner', anyGroup());
    const devices = async (): Promise<unknown> =>
      Object.fromEntries(
        (await allOf((page) => registry.groups(page))).map((each) => [String(each.gid), each.devices]),
      );
    expect(await devices()).toEqual({ [String(gid)]: 7, [String(other.gid)]: 0 });
    const again = applicant({ gid });
    await registry.admit(again);
    await registry.admit(again);
    await expect(registry.admit(applicant({ gid }, { requested: NETWORK.address }))).rejects.toThrow();
    expect(await devices()).toEqual({ [String(gid)]: 8, [String(other.gid)]: 0 });
    const db = connect(path);
    db.exec('DELETE FROM device WHERE id = 3');
    db.close();
    expect(await devices()).toEqual({ [String(gid)]: 7, [String(other.gid)]: 0 });
  });
});

test('[H-E] changes that were read are removed, but for the newest', async () => {
  const { registry, addresses, number } = await withDevices(1);
  const ban = async (times: number): Promise<void> => {
    const turns = Array.from({ length: times }, (_, n): StandingChange => (n % 2 === 0 ? 'ban' : 'unban'));
    await Promise.all(turns.map((change) => registry.setStanding('owner', addresses[0]!, change)));
  };
  await ban(1_100);
  // Nobody serves: nobody removes.
  expect(number('SELECT count(*) FROM change')).toBeGreaterThanOrEqual(1_100);
  const stop = await registry.follow(2);
  const newest = (): number => number("SELECT value FROM counter WHERE name = 'change'");
  const kept = async (): Promise<void> => {
    await expect.poll(() => number('SELECT count(*) FROM change')).toBe(1_000);
    expect(number('SELECT max(seq) FROM change')).toBe(newest());
  };
  await kept();
  await ban(2_400);
  await kept();
  stop();
});

test('[H-E] tunnels that a crash has left up are ended in parts, and none of a device that is back', async () => {
  const { path, registry, addresses, number } = await withDevices(450);
  for (const address of addresses) registry.connected(address, '192.0.2.1:5000');
  await registry.refused({ source: 'x', proven: false, result: 'test' });
  const open = 'SELECT count(*) FROM device WHERE tunnel_at IS NOT NULL AND tunnel_ended IS NULL';
  expect(number(open)).toBe(450);
  const next = opened(path);
  const stop = await next.follow(1_000);
  expect(number(open)).toBe(250);
  const back = addresses.at(-1)!;
  next.connected(back, '192.0.2.2:5000');
  await expect.poll(() => number(open)).toBe(1);
  expect((await next.device(back)).tunnel).toMatchObject({ from: '192.0.2.2:5000' });
  expect((await next.device(back)).tunnel).not.toHaveProperty('ended');
  stop();
});

describe('[H-E] while another program writes', () => {
  test('nothing that is asked waits, and a change is made once it has ended', async () => {
    const { path, registry, gid, addresses } = await withDevices(1);
    const other = connect(path);
    other.exec('BEGIN IMMEDIATE');
    const order: string[] = [];
    const changed = registry
      .setGroupStatus('owner', gid, 'suspended')
      .then((done) => order.push(`changed ${done}`));
    for (let n = 0; n < 3; n++) {
      await new Promise((resolve) => setTimeout(resolve, 30));
      order.push(registry.lookup(addresses[0]!)!.standing);
    }
    other.exec('COMMIT');
    other.close();
    await changed;
    expect(order).toEqual(['active', 'active', 'active', 'changed true']);
  });

  test('one that does not end is a failure with a name, of everything that waits', async () => {
    const { path, registry, gid, addresses } = await withDevices(1);
    const other = connect(path);
    other.exec('BEGIN IMMEDIATE');
    const results = await Promise.allSettled([
      registry.setGroupStatus('owner', gid, 'suspended'),
      registry.setStanding('owner', addresses[0]!, 'ban'),
    ]);
    expect(results).toMatchObject(results.map(() => ({ reason: { code: 'registry.locked' } })));
    other.close();
    expect(await registry.setStanding('owner', addresses[0]!, 'ban')).toBe(true);
  });
});
