import { expect, test } from 'vitest';
import { EVERYTHING, scopeOf } from '../../../../fabric/access/scope.ts';
import { prepare } from '../../../../fabric/registry/sql/base/statements.ts';
import { listDevices } from '../../../../fabric/registry/sql/device-list.ts';
import { endOpenTunnels } from '../../../../fabric/registry/sql/inventory/devices.ts';
import { groupNamed, listGroups } from '../../../../fabric/registry/sql/inventory/groups.ts';
import { listHandshakes } from '../../../../fabric/registry/sql/inventory/handshakes.ts';
import { listNetworks } from '../../../../fabric/registry/sql/inventory/networks.ts';
import { lastTwins, listAudit } from '../../../../fabric/registry/sql/trail/audit.ts';
import { changesSince } from '../../../../fabric/registry/sql/trail/changes.ts';
import { openDatabase } from '../../../../fabric/registry/sqlite/database.ts';
import { parsePrefix } from '../../../../protocol/ipv6.ts';
import { allOf, anyGroup, NETWORK, opened, random, registryFile } from '../../place.ts';
import { applicant } from '../contract/place.ts';

/** False for the ids of a page, and for the rows of a window that a search of the table has found. */
function isOfTheTable(
  { detail }: { detail: string },
  _: number,
  plan: readonly { detail: string }[],
): boolean {
  if (detail.startsWith('SCAN json_each VIRTUAL TABLE')) return false;
  const isWindow = plan.some((each) => each.detail === detail.replace('SCAN', 'CO-ROUTINE'));
  return !isWindow || plan.filter((each) => each.detail === detail).length > 1;
}

test('[H-E] every page is found by an index, without a look at the other rows and without sorting', async () => {
  const path = registryFile();
  const registry = opened(path);
  await registry.addNetwork('owner', NETWORK, '');
  const { gid } = await registry.addGroup('owner', anyGroup());
  await registry.admit(applicant({ gid }));
  await registry.setGroupStatus('owner', gid, 'suspended');

  const { id } = await registry.addOwner('root', 'acme');
  await registry.lendPrefix('root', 'acme', parsePrefix('fd00:9::/48'));
  const acme = registry.of(scopeOf(id, false));
  const { prefix: network } = await acme.addNetwork('anna', parsePrefix('fd00:9::/64'), '');
  const foreign = await acme.addGroup('anna', { ...anyGroup(), network });

  const db = openDatabase(path);
  const statements: string[] = [];
  const own = db.prepare;
  db.prepare = ((sql: string) => {
    statements.push(sql);
    return own.call(db, sql);
  }) as typeof own;
  const page = { limit: 2 };
  for (const [scope, of] of [
    [EVERYTHING, gid],
    [acme.scope, foreign.gid],
  ] as const) {
    listNetworks(db, scope, page);
    listDevices(db, scope, page);
    listHandshakes(db, scope, page);
    listHandshakes(db, scope, page, { device: { gid, pseudonym: random(65) } });
    listAudit(db, scope, page);
    listAudit(db, scope, page, 'fd00::1');
    listGroups(db, scope, page);
    groupNamed(db, scope, Buffer.from(of).toString('hex'));
  }
  expect(statements.some((sql) => /FROM device WHERE \(owner = \? AND owner > 1\)/.test(sql))).toBe(true);
  lastTwins(db, 'fd00::1');
  expect(changesSince(db, 0)).toHaveLength(3);
  endOpenTunnels(db, 1, 0, () => false);
  db.prepare = own;

  expect(statements.length).toBeGreaterThanOrEqual(20);
  for (const sql of statements) {
    const parameters = Array.from(sql.matchAll(/\?/g), () => 1);
    const plan = prepare(db, `EXPLAIN QUERY PLAN ${sql}`).all(parameters) as { detail: string }[];
    expect(plan.length).toBeGreaterThan(0);
    for (const { detail } of plan.filter(isOfTheTable)) expect(detail, sql).not.toMatch(/SCAN|TEMP B-TREE/);
    // By their ids they would be found among all devices.
    if (sql.includes('tunnel_ended IS NULL AND id')) expect(plan[0]!.detail).toContain('open_tunnel');
    // Those of others are not looked at.
    if (/FROM (?:device|handshake) WHERE \(owner = /.test(sql))
      expect(plan[0]!.detail).toContain('_of_owner');
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
