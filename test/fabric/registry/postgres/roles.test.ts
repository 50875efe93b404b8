import { join } from 'node:path';
import { beforeAll, expect, test } from 'vitest';
import type { NewNode } from '../../../../fabric/registry/nodes.ts';
import { SERVER_VERSION } from '../../../../fabric/registry/postgres/migrate.ts';
import { migrateServers, openServerRegistry } from '../../../../fabric/registry/postgres/registry.ts';
import {
  GRANTS,
  grantsScript,
  ROLES,
  type Role,
} from '../../../../fabric/registry/postgres/schema/grants.ts';
import { anyGroup, NETWORK, random, scratch } from '../../place.ts';
import { applicant } from '../contract/place.ts';
import { byDuty, giveRoles, grant, NAMES, openAs, urlOf } from './by-duty.ts';
import { formerDatabase } from './former.ts';
import { registriesOfFile } from './registries.ts';
import type { Server } from './server.ts';

const made = registriesOfFile(giveRoles);
const database = made.registry;
let server: Server;
beforeAll(() => {
  server = made.server;
});

/** Of people and secrets: who does not serve the console does not even read them. */
const OF_PEOPLE = [
  ...['person', 'membership', 'account', 'passkey', 'recovery_code', 'invite', 'token'],
  ...['hook', 'delivery'],
];

const node = (name: string): NewNode => ({ name, version: '1.0', installation: random(32) });

/** Runs SQL as a role; what the server refuses, or `'done'`. */
function as(role: Role, name: string, sql: string): string {
  try {
    server.sql(name, `SET ROLE ${NAMES[role]}; SET search_path = enf; BEGIN; ${sql}; ROLLBACK`);
    return 'done';
  } catch (error) {
    return /ERROR: {2}(.*)/.exec(String((error as { stderr?: string }).stderr))?.[1] ?? String(error);
  }
}

test('every table is decided about, and no other', () => {
  const tables = server
    .sql(database(), "SELECT tablename FROM pg_tables WHERE schemaname = 'enf'")
    .split('\n');
  expect(Object.keys(GRANTS).sort()).toEqual(tables.sort());
});

test('what each role may not do is refused, though it may do what is beside it', async () => {
  const name = database();
  const registry = byDuty(server, name);
  await registry.addNetwork('owner', NETWORK, 'plant');
  const group = await registry.addGroup('owner', anyGroup());
  const [banned, retired] = [await registry.admit(applicant(group)), await registry.admit(applicant(group))];
  await registry.setStanding('owner', banned, 'ban');
  await registry.retireDevice('owner', retired);
  await registry.addGroup('owner', anyGroup());
  await registry.addOwner('test', 'other');
  const key = "decode(repeat('00', 65), 'hex')";
  const newDevice = (longterm: string): string =>
    `INSERT INTO device (gid, pseudonym, address, longterm_key, created, handshake_at, handshake_from)
     SELECT gid, decode(repeat('01', 65), 'hex'), decode(repeat('02', 16), 'hex'), ${longterm}, 1, 1, '' FROM grp`;
  const refused: Readonly<Record<Role | 'all', readonly string[]>> = {
    all: [
      "UPDATE audit SET actor = 'x'",
      'DELETE FROM audit',
      'TRUNCATE audit',
      'DROP TABLE audit',
      'ALTER TABLE audit DISABLE TRIGGER USER',
      'CREATE TABLE mine (x int)',
      'DELETE FROM device',
      "INSERT INTO migration VALUES (99, 'x', 1)",
      'SELECT * FROM grantee',
      'DELETE FROM counter',
    ],
    identity: [
      'UPDATE device SET banned = 0',
      'UPDATE device SET retired = NULL',
      'UPDATE device SET tunnel_at = 1',
      "UPDATE grp SET status = 'active'",
      "UPDATE network SET name = 'x'",
      ...[
        'DELETE FROM rule',
        'DELETE FROM rate_limit',
        'DELETE FROM anchor',
        'DELETE FROM revoked_certificate',
      ],
      "UPDATE anchor SET admits = 'anybody'",
      "INSERT INTO owner (name, status, created) VALUES ('x', 'active', 1)",
      ...OF_PEOPLE.map((table) => `SELECT * FROM ${table}`),
      "INSERT INTO membership VALUES (1, 1, 'owner', 'x', 1)",
      'INSERT INTO enrolment_code SELECT * FROM enrolment_code',
      'UPDATE node SET draining = 1',
      'DELETE FROM node',
      'DELETE FROM alarm',
      'DELETE FROM setting',
    ],
    router: [
      'UPDATE device SET longterm_key = longterm_key',
      newDevice("decode(repeat('03', 65), 'hex')"),
      newDevice(key),
      // Of those that are retired nothing is changed at all.
      'UPDATE device SET banned = 0 WHERE retired IS NULL',
      'UPDATE device SET evicted = 1 WHERE retired IS NULL',
      'UPDATE device SET gid = (SELECT gid FROM grp WHERE gid <> device.gid) WHERE retired IS NULL',
      'UPDATE device SET retired = NULL WHERE retired IS NOT NULL',
      "INSERT INTO handshake (at, source, proven, result) VALUES (1, 'x', 1, 'ok')",
      "UPDATE grp SET status = 'active'",
      'INSERT INTO grp SELECT * FROM grp',
      "UPDATE network SET name = 'x'",
      ...['DELETE FROM rule', 'DELETE FROM rate_limit', 'UPDATE anchor SET revoked = 0'],
      'DELETE FROM revoked_certificate',
      ...[...OF_PEOPLE, 'enrolment_code'].map((table) => `SELECT * FROM ${table}`),
      'INSERT INTO issued SELECT * FROM issued',
      'UPDATE node SET draining = 1',
      'DELETE FROM alarm',
    ],
    console: [
      "INSERT INTO handshake (at, source, proven, result) VALUES (1, 'x', 1, 'ok')",
      "UPDATE handshake SET result = 'ok'",
      'INSERT INTO issued SELECT * FROM issued',
      'UPDATE enf.handshake_hour SET times = 0',
    ],
  };
  for (const role of ROLES)
    for (const sql of [...refused.all, ...refused[role]])
      expect(`${role}: ${sql}: ${as(role, name, sql)}`).toMatch(/: (permission denied|must be owner)[^:]*$/);
  const done: Readonly<Record<Role, readonly string[]>> = {
    identity: ['UPDATE device SET evicted = 0, longterm_key = longterm_key', 'SELECT * FROM rule'],
    router: [
      'UPDATE device SET tunnel_at = 1, generation = generation + 1',
      'UPDATE device SET retired = 1, banned = 0, evicted = 0, name = NULL WHERE retired IS NULL',
      'SELECT * FROM grp',
    ],
    console: ['UPDATE device SET banned = 0', "UPDATE grp SET status = 'suspended'", 'DELETE FROM invite'],
  };
  for (const role of ROLES)
    for (const sql of done[role]) expect(`${sql}: ${as(role, name, sql)}`).toBe(`${sql}: done`);
});

test('a router takes in who has a certificate of an owner’s CA, and nobody else', async () => {
  const name = database();
  const registry = byDuty(server, name);
  await registry.addNetwork('owner', NETWORK, 'plant');
  await registry.addGroup('owner', anyGroup());
  const insert = (where: string): string =>
    `INSERT INTO device (gid, pseudonym, address, longterm_key, created, handshake_at, handshake_from)
     SELECT gid, decode(repeat('01', 65), 'hex'), decode(repeat('02', 16), 'hex'), decode(repeat('00', 65), 'hex'), 1, 1, '' FROM grp WHERE ${where}`;
  expect(as('router', name, insert('true'))).toBe('permission denied to admit a device');
  // Its own table is not asked.
  const own =
    'CREATE TEMP TABLE grp AS SELECT gid, 1 AS anchor FROM enf.grp; SET LOCAL search_path = pg_temp, enf';
  expect(as('router', name, `${own}; ${insert('true')}`)).toBe('permission denied to admit a device');
  server.sql(name, 'UPDATE enf.grp SET anchor = 1');
  expect(as('router', name, insert('true'))).toBe('done');
});

test('a node that is asked for what is not its duty says so, and does the rest', async () => {
  const name = database();
  const console = openAs(server, name, 'console');
  const [identity, router] = [openAs(server, name, 'identity'), openAs(server, name, 'router')];
  for (const [at, each] of [identity, router, console].entries()) await each.join(node('abc'[at]!));
  const refusal = { code: 'registry.not-permitted', remedy: 'operator' };
  for (const each of [identity, router]) {
    await expect(each.addNetwork('owner', NETWORK, 'plant')).rejects.toMatchObject(refusal);
    await expect(each.drainNode('owner', 'a')).rejects.toMatchObject(refusal);
    await expect(each.addOwner('test', 'x')).rejects.toMatchObject(refusal);
    await expect(each.tokens({ limit: 1 })).rejects.toMatchObject(refusal);
  }
  await console.addNetwork('owner', NETWORK, 'plant');
  const group = await console.addGroup('owner', anyGroup());
  await expect(router.admit(applicant(group))).rejects.toMatchObject(refusal);
  await expect(console.admit(applicant(group))).rejects.toMatchObject(refusal);
  const address = await identity.admit(applicant(group));
  await expect(identity.setStanding('owner', address, 'ban')).rejects.toMatchObject(refusal);
  await expect(router.setStanding('owner', address, 'ban')).rejects.toMatchObject(refusal);
  await expect(identity.attach(address, '192.0.2.1')).rejects.toMatchObject(refusal);
  expect(await router.attach(address, '192.0.2.1')).toMatchObject({ generation: 1 });
  await console.setStanding('owner', address, 'ban');
  expect(router.lookup(address)?.standing).toBe('banned');

  // What a node does by itself, and what commands at it read.
  for (const each of [identity, router, console]) {
    const stop = await each.follow(60_000);
    expect(await each.beat({ tunnels: 1, load: 1 })).toEqual({ replaced: false, wasLost: false });
    expect(await each.sweepLost()).toBe(false);
    expect((await each.census()).devices).toBe(1);
    expect((await each.devices({ limit: 5 })).rows).toHaveLength(1);
    expect((await each.handshakes({ limit: 5 })).rows).toHaveLength(1);
    expect(await each.newAlarms()).toBe(0);
    expect((await each.groups({ limit: 5 })).rows).toHaveLength(1);
    expect((await each.nodes({ limit: 5 })).rows).toHaveLength(3);
    await each.verifyAudit();
    stop();
  }
  // Each was lost; the router says again which tunnels it has, and there are no others.
  const other = await identity.admit(applicant(group));
  router.connected(other, '192.0.2.1:1', (await router.attach(other, '192.0.2.1')).generation);
  await expect.poll(async () => (await console.census()).connected).toBe(1);
  server.sql(
    name,
    `UPDATE enf.node SET seen = seen - 15000; UPDATE enf.device SET node = NULL, tunnel_ended = 1 WHERE tunnel_at > 0;
     UPDATE enf.device SET node = (SELECT id FROM enf.node WHERE name = 'b') WHERE tunnel_at IS NULL`,
  );
  for (const each of [identity, router, console])
    expect((await each.beat({ tunnels: 1, load: 1 })).wasLost).toBe(true);
  await expect.poll(async () => (await console.census()).connected).toBe(1);
  await expect.poll(() => console.lookup(address)?.attached).toEqual({ generation: 1 });
  expect(console.lookup(other)?.attached).toEqual({ generation: 1, node: 'b' });
  await router.leave();
  await identity.leave();
  await console.removeNode('owner', 'a');
});

test('a node waits for the owner to change the schema, who gives the rights of new tables, too', async () => {
  const name = await formerDatabase(made);
  const url = [server.url(name)];
  server.sql(
    name,
    'GRANT USAGE ON SCHEMA enf TO enf_identity, enf_console; GRANT SELECT ON ALL TABLES IN SCHEMA enf TO enf_identity, enf_console',
  );
  const open = (): unknown => openAs(server, name, 'identity');
  expect(open).toThrow(expect.objectContaining({ code: 'registry.older-schema', remedy: 'retry' }));
  expect(() => migrateServers([urlOf(server, name, 'console')], 1)).toThrow(
    expect.objectContaining({ code: 'registry.not-permitted' }),
  );
  // Nobody has told this registry of roles.
  expect(migrateServers(url, 1)).toEqual({ before: SERVER_VERSION - 1, version: SERVER_VERSION, roles: {} });
  grant(server, name);
  server.sql(name, 'REVOKE SELECT ON enf.node FROM enf_identity');
  expect(migrateServers(url, 1)).toEqual({ before: SERVER_VERSION, version: SERVER_VERSION, roles: NAMES });
  await openAs(server, name, 'identity').join(node('a'));
  // A user whose role was dropped does not stop the others.
  server.sql(name, "UPDATE enf.grantee SET name = 'gone' WHERE duty = 'router'");
  const { router: _, ...left } = NAMES;
  expect(migrateServers(url, 1).roles).toEqual(left);
});

test('no rights are given to everybody, nor taken from the owner', async () => {
  const name = database();
  for (const everybody of ['public', 'none', 'pg_monitor'])
    expect(() => grantsScript({ router: everybody })).toThrow('no name of a role');
  expect(() => grant(server, name, { identity: NAMES.identity, console: 'enf' })).toThrow(
    'a role is the owner of the registry',
  );
  expect(server.sql(name, "SELECT has_table_privilege('enf', 'enf.migration', 'INSERT')")).toBe('t');
});

test('a user without any rights, and one of two duties', async () => {
  const name = database();
  server.sql(
    'postgres',
    'CREATE ROLE enf_nobody LOGIN; CREATE ROLE enf_both LOGIN IN ROLE enf_identity, enf_router',
  );
  const open = (user: string) =>
    openServerRegistry([server.url(name).replace('enf@', `${user}@`)], join(scratch(), 'registry.url'));
  expect(() => open('enf_nobody')).toThrow(expect.objectContaining({ code: 'registry.not-permitted' }));
  const console = openAs(server, name, 'console');
  await console.addNetwork('owner', NETWORK, 'plant');
  const group = await console.addGroup('owner', anyGroup());
  const both = open('enf_both');
  await both.join(node('a'));
  expect(await both.attach(await both.admit(applicant(group)), '192.0.2.1')).toMatchObject({ generation: 1 });
  await both.close();
});
