import type { Database } from 'better-sqlite3';
import { expect, test } from 'vitest';
import { DEFAULT_OWNER, EVERYTHING, scopeOf } from '../../../../fabric/access/scope.ts';
import { findDevices } from '../../../../fabric/registry/sql/search/found.ts';
import { tailsOf } from '../../../../fabric/registry/sql/search/tails.ts';
import { connect } from '../../../../fabric/registry/sqlite/connect.ts';
import { parsePrefix } from '../../../../protocol/ipv6.ts';
import { anyGroup, NETWORK, opened, registryFile } from '../../place.ts';
import { applicant } from '../contract/place.ts';

/** So many devices more, which differ from the one with this id by what has to, and in their names. */
function copyDevice(db: Database, id: number, count: number): void {
  const own: Readonly<Record<string, string>> = {
    id: 'NULL',
    address: 'CAST(substr(address, 1, 8) || randomblob(8) AS BLOB)',
    pseudonym: 'randomblob(65)',
  };
  const columns = (db.pragma('table_info(device)') as { name: string }[]).map(({ name }) => name);
  db.prepare(
    `WITH RECURSIVE row (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM row WHERE n < ?)
     INSERT INTO device (${columns}) SELECT ${columns.map((name) => own[name] ?? name)} FROM row, device WHERE id = ?`,
  ).run(count, id);
  db.exec("UPDATE device SET name = 'turbine-' || id");
}

test('a search tells nobody that other owners have such names, however many have', async () => {
  const path = registryFile();
  const registry = opened(path);
  const { id } = await registry.addOwner('root', 'acme');
  const lent = parsePrefix('fd00:9::/64');
  await registry.lendPrefix('root', 'acme', lent);
  const [first, acme] = [scopeOf(DEFAULT_OWNER, false), scopeOf(id, false)];
  await registry.of(first).addNetwork('bob', NETWORK, 'plant');
  await registry.of(acme).addNetwork('anna', lent, 'plant');
  const others = await registry.of(acme).addGroup('anna', { ...anyGroup('a'), network: lent });
  const own = await registry.of(first).addGroup('bob', anyGroup('b'));
  await registry.admit(applicant(others));
  const db = connect(path);
  copyDevice(db, 1, 4_500);
  const named = await registry.admit(applicant(own));
  await registry.of(first).nameDevice('bob', named, { name: 'turbine-own' });
  const read = <T>(work: () => T): T => work();
  const find = (scope: typeof first, text: string, after = 0) =>
    findDevices({ db, read, tails: tailsOf(db, read) }, { text }, { after, most: 1_000, scope });
  expect(await find(first, 'turbine-4')).toEqual({ ids: [] });
  expect(await find(first, 'turbine')).toEqual({ ids: [4_502] });
  expect((await find(acme, 'turbine')).upTo).toBe(1_000);
  expect((await find(EVERYTHING, 'turbine', 4_000)).ids).toHaveLength(502);
  db.close();
});
