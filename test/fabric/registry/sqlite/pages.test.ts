import { expect, test } from 'vitest';
import { listDevices } from '../../../../fabric/registry/sqlite/device-list.ts';
import { endOpenTunnels } from '../../../../fabric/registry/sqlite/devices.ts';
import { openDatabase } from '../../../../fabric/registry/sqlite/file/database.ts';
import { prepare } from '../../../../fabric/registry/sqlite/file/statements.ts';
import { groupNamed, listGroups } from '../../../../fabric/registry/sqlite/groups.ts';
import { listHandshakes } from '../../../../fabric/registry/sqlite/handshakes.ts';
import { listNetworks } from '../../../../fabric/registry/sqlite/networks.ts';
import { lastTwins, listAudit } from '../../../../fabric/registry/sqlite/trail/audit.ts';
import { changesSince } from '../../../../fabric/registry/sqlite/trail/changes.ts';
import { allOf, anyGroup, NETWORK, opened, random, registryFile } from '../../place.ts';
import { applicant } from '../contract/place.ts';

test('[H-E] every page is found by an index, without a look at the other rows and without sorting', async () => {
  const path = registryFile();
  const registry = opened(path);
  await registry.addNetwork('owner', NETWORK, '');
  const { gid } = await registry.addGroup('owner', anyGroup());
  await registry.admit(applicant({ gid }));
  await registry.setGroupStatus('owner', gid, 'suspended');

  const db = openDatabase(path);
  const statements: string[] = [];
  const own = db.prepare;
  db.prepare = ((sql: string) => {
    statements.push(sql);
    return own.call(db, sql);
  }) as typeof own;
  const page = { limit: 2 };
  listNetworks(db, page);
  listDevices(db, page);
  listHandshakes(db, page);
  listHandshakes(db, page, { device: { gid, pseudonym: random(65) } });
  listAudit(db, page);
  listGroups(db, page);
  lastTwins(db, 'fd00::1');
  groupNamed(db, Buffer.from(gid).toString('hex'));
  expect(changesSince(db, 0)).toHaveLength(2);
  endOpenTunnels(db, 1, 0, () => false);
  db.prepare = own;

  expect(statements.length).toBeGreaterThanOrEqual(11);
  for (const sql of statements) {
    const parameters = Array.from(sql.matchAll(/\?/g), () => 1);
    const plan = prepare(db, `EXPLAIN QUERY PLAN ${sql}`).all(parameters) as { detail: string }[];
    expect(plan.length).toBeGreaterThan(0);
    for (const { detail } of plan) expect(detail, sql).not.toMatch(/SCAN|TEMP B-TREE/);
    // By their ids they would be found among all devices.
    if (sql.includes('tunnel_ended IS NULL AND id')) expect(plan[0]!.detail).toContain('open_tunnel');
  }
  db.close();
});

test('a list longer than what is read at once is read whole', async () => {
  const registry = opened(registryFile());
  await registry.addNetwork('owner', NETWORK, '');
  const { gid } = await registry.addGroup('owner', anyGroup());
  await Promise.all(Array.from({ length: 1_203 }, () => registry.admit(applicant({ gid }))));
  const devices = await allOf((page) => registry.devices(page));
  expect(new Set(devices.map((each) => String(each.address))).size).toBe(1_203);
});
