import { execFile } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { promisify } from 'node:util';
import { expect, onTestFinished, test } from 'vitest';
import { makeServerRegistry, openServerRegistry } from '../../../../fabric/registry/postgres/registry.ts';
import type { RegistryOptions } from '../../../../fabric/registry/registry.ts';
import { toHex } from '../../../../protocol/bytes.ts';
import { allOf, anyGroup, NETWORK, random, scratch, wholeOf } from '../../place.ts';
import { applicant } from '../contract/place.ts';
import { ownServer } from './own-server.ts';

/** Several processes on one registry, and the server that it is on. */
async function place() {
  const server = await ownServer();
  server.sql('postgres', 'CREATE DATABASE enf');
  const urls = [server.url('enf')];
  await makeServerRegistry(urls, 'test', 1_000);
  const node = (options: RegistryOptions = {}) => {
    const registry = wholeOf(openServerRegistry(urls, join(scratch(), 'registry.url'), options));
    onTestFinished(() => registry.close());
    return registry;
  };
  return { server, urls, node };
}

test('nodes that admit at once give no address twice, and each device one; the trail is one chain', async () => {
  const { node } = await place();
  const nodes = [node(), node(), node()];
  await nodes[0]!.addNetwork('owner', NETWORK, 'plant');
  const group = await nodes[0]!.addGroup('owner', anyGroup());
  const chips = Array.from({ length: 60 }, () => random(65));
  // Each chip comes to all of them.
  const given = await Promise.all(
    chips.flatMap((pseudonym) => nodes.map((each) => each.admit(applicant(group, { pseudonym })))),
  );
  const addresses = given.map(toHex);
  chips.forEach((_, at) => {
    expect(new Set(addresses.slice(at * 3, at * 3 + 3)).size).toBe(1);
  });
  expect(new Set(addresses).size).toBe(60);
  expect((await nodes[1]!.census()).devices).toBe(60);
  expect((await nodes[2]!.verifyAudit()).entries).toBeGreaterThanOrEqual(63);
});

test('identifiers that collide are resolved on every node', async () => {
  const { node } = await place();
  const narrow = {
    identifier: (_key: Uint8Array, pseudonym: Uint8Array, counter: number) =>
      new Uint8Array([2, 0, 0, 0, 0, 0, 0, ((pseudonym[5]! & 7) + counter * 8) & 0xff]),
  };
  const nodes = [node(narrow), node(narrow)];
  await nodes[0]!.addNetwork('owner', NETWORK, 'plant');
  const group = await nodes[0]!.addGroup('owner', anyGroup());
  const given = await Promise.all(
    Array.from({ length: 80 }, (_, n) => nodes[n % 2]!.admit(applicant(group))),
  );
  expect(new Set(given.map(toHex)).size).toBe(80);
});

test('a change on one node is heard of on the others, each in the order of the changes', async () => {
  const { node } = await place();
  const [one, other] = [node(), node()];
  const heard: string[] = [];
  other.subscribe((change) => heard.push(change.kind));
  onTestFinished(await other.follow(60_000));
  await one.addNetwork('owner', NETWORK, 'plant');
  const group = await one.addGroup('owner', anyGroup());
  const address = await one.admit(applicant(group));
  await one.setStanding('owner', address, 'ban');
  await expect.poll(() => heard, { timeout: 20_000 }).toEqual(['network', 'device']);
  expect(other.lookup(address)?.standing).toBe('banned');
});

test('after a failover to a server that lacks the last changes, nodes hear of what changes there', async () => {
  const { server, node } = await place();
  const [one, other] = [node(), node()];
  const heard: string[] = [];
  other.subscribe((change) => heard.push(change.kind));
  onTestFinished(await other.follow(60_000));
  await one.addNetwork('owner', NETWORK, 'plant');
  const group = await one.addGroup('owner', anyGroup());
  const address = await one.admit(applicant(group));
  for (const change of ['ban', 'unban', 'ban', 'unban'] as const)
    await one.setStanding('owner', address, change);
  await expect.poll(() => heard.length, { timeout: 20_000 }).toBe(5);
  // As a standby that had not got the last ones.
  server.sql(
    'enf',
    `DELETE FROM enf.change WHERE seq > 1; UPDATE enf.counter SET value = 1 WHERE name = 'change';
     SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE application_name LIKE 'enf-fabric %'`,
  );
  await expect
    .poll(
      () =>
        one.setStanding('owner', address, 'ban').then(
          () => 'done',
          () => 'failed',
        ),
      { timeout: 20_000 },
    )
    .toBe('done');
  await expect
    .poll(() => heard.slice(5), { timeout: 20_000 })
    .toEqual(expect.arrayContaining(['everything', 'network']));
  expect(other.lookup(address)?.standing).toBe('banned');
});

test('a server that is lost fails what is asked with a code, and what comes after it is back is done; nothing that was answered is lost', async () => {
  const { server, node } = await place();
  const registry = node();
  await registry.addNetwork('owner', NETWORK, 'plant');
  const group = await registry.addGroup('owner', anyGroup());
  const heard: string[] = [];
  const other = node();
  other.subscribe((change) => heard.push(change.kind));
  onTestFinished(await other.follow(60_000));
  const admitted: string[] = [];
  let failures = 0;
  let going = true;
  const work = Promise.all(
    Array.from({ length: 8 }, async () => {
      while (going) {
        try {
          admitted.push(toHex(await registry.admit(applicant(group))));
        } catch (error) {
          // Those whose commit was under way hear of it only if the server is back in time.
          const code = expect.stringMatching(/^registry\.(unreachable|outcome-unknown)$/);
          expect(error).toMatchObject({ code, remedy: 'retry' });
          failures++;
          await wait(20);
        }
      }
    }),
  );
  await expect.poll(() => admitted.length, { timeout: 20_000 }).toBeGreaterThan(20);
  await server.kill();
  await expect.poll(() => failures, { timeout: 40_000 }).toBeGreaterThan(8);
  await expect(registry.census()).rejects.toMatchObject({ code: 'registry.unreachable' });
  const before = admitted.length;
  await server.start();
  await expect.poll(() => admitted.length, { timeout: 30_000 }).toBeGreaterThan(before + 20);
  going = false;
  await work;
  const devices = new Set(
    (await allOf((page) => registry.devices(page))).map(({ address }) => toHex(address)),
  );
  for (const address of admitted) expect(devices.has(address)).toBe(true);
  await registry.verifyAudit();
  // Who hears of changes hears of them again.
  await registry.setGroupStatus('owner', group.gid, 'suspended');
  await expect.poll(() => heard.at(-1), { timeout: 20_000 }).toBe('group');
});

test('a standby takes over once it is promoted; nothing that was answered is lost', async () => {
  const { server: primary, urls: first, node } = await place();
  const before = node();
  await before.addNetwork('owner', NETWORK, 'plant');
  const group = await before.addGroup('owner', anyGroup());
  const standby = await ownServer({}, primary);
  primary.sql('postgres', "ALTER SYSTEM SET synchronous_standby_names = 'standby'");
  primary.sql('postgres', 'SELECT pg_reload_conf()');
  const urls = [...first, standby.url('enf')];
  const registry = wholeOf(openServerRegistry(urls, join(scratch(), 'registry.url')));
  onTestFinished(() => registry.close());
  const admitted = await Promise.all(Array.from({ length: 20 }, () => registry.admit(applicant(group))));
  await primary.kill();
  // Until then it is read, and nothing is changed.
  await expect
    .poll(async () => (await registry.census().catch(() => undefined))?.devices, { timeout: 20_000 })
    .toBe(20);
  await expect(registry.admit(applicant(group))).rejects.toMatchObject({ code: 'registry.unreachable' });
  standby.sql('postgres', 'SELECT pg_promote()');
  await expect
    .poll(() => registry.admit(applicant(group)).catch(() => undefined), { timeout: 20_000 })
    .toBeDefined();
  const devices = (await allOf((page) => registry.devices(page))).map(({ address }) => toHex(address));
  expect(devices.slice(0, 20).sort()).toEqual(admitted.map(toHex).sort());
  await registry.verifyAudit();
});

test('a database without a registry, and one that refuses, are told apart', async () => {
  const { server, urls } = await place();
  server.sql('postgres', 'CREATE DATABASE other');
  const open = (url: string): unknown => openServerRegistry([url], join(scratch(), 'registry.url'));
  expect(() => open(server.url('other'))).toThrow(expect.objectContaining({ code: 'registry.absent' }));
  expect(() => open(server.url('nowhere'))).toThrow(
    expect.objectContaining({ code: 'registry.not-writable' }),
  );
  expect(() => open('postgres://enf@127.0.0.1:1/enf')).toThrow(
    expect.objectContaining({ code: 'registry.unreachable' }),
  );
  expect(() => open(`${urls[0]}&sslrootcert=/nowhere/ca.pem`)).toThrow(
    expect.objectContaining({
      code: 'registry.bad-url',
      message: expect.stringContaining('/nowhere/ca.pem'),
    }),
  );
  await expect(makeServerRegistry(urls, 'test', 1_000)).rejects.toMatchObject({ code: 'registry.exists' });
  server.sql('enf', "INSERT INTO enf.migration VALUES (1000, 'later', 1)");
  expect(() => open(urls[0]!)).toThrow(expect.objectContaining({ code: 'registry.newer-schema' }));
});

test('a server that asks for a password that nobody has given', async () => {
  const { server, urls } = await place();
  server.sql('enf', "CREATE ROLE guest LOGIN PASSWORD 'secret'");
  const rules = join(server.folder, 'data/pg_hba.conf');
  writeFileSync(rules, `local all guest scram-sha-256\n${readFileSync(rules, 'utf8')}`);
  server.sql('postgres', 'SELECT pg_reload_conf()');
  const open = (user: string): unknown =>
    openServerRegistry([urls[0]!.replace('enf@', `${user}@`)], join(scratch(), 'registry.url'));
  await expect
    .poll(() => failureOf(() => open('guest')))
    .toMatchObject({
      code: 'registry.not-writable',
      message: expect.stringContaining('asks for a password'),
    });
  expect(failureOf(() => open('guest:other'))).toMatchObject({
    code: 'registry.not-writable',
    message: expect.stringContaining('password authentication failed'),
  });
});

/** What a program of its own writes to stderr that connects to a server as the thread does that talks to it. */
async function saidBy(url: string, env: Readonly<Record<string, string>> = {}): Promise<string> {
  const fence = new URL('../../../../fabric/registry/postgres/fence.mjs', import.meta.url);
  const script = `
    import { fence } from ${JSON.stringify(fence.href)};
    const options = { urls: [${JSON.stringify(url)}], places: ['there'], settings: '', connectMs: 2000, fenced: false };
    const { client } = await fence(options, () => {}).connect('read', (client) => client.on('error', () => {}));
    await client.end();
    process.stdout.write('connected');`;
  const { stdout, stderr } = await promisify(execFile)(
    process.execPath,
    ['--input-type=module', '--eval', script],
    { env: { ...process.env, ...env } },
  ).catch((error: { stdout: string; stderr: string }) => error);
  return `${stdout}${stderr}`;
}

test('a password of ~/.pgpass is used, and no word of the driver comes to the log', async () => {
  const { server, urls } = await place();
  server.sql('enf', "CREATE ROLE guest LOGIN PASSWORD 'secret'");
  server.sql('enf', 'GRANT USAGE ON SCHEMA enf TO guest; GRANT SELECT ON ALL TABLES IN SCHEMA enf TO guest');
  server.sql('enf', 'GRANT EXECUTE ON FUNCTION pg_control_system, pg_control_checkpoint TO guest');
  const rules = join(server.folder, 'data/pg_hba.conf');
  writeFileSync(rules, `local all guest scram-sha-256\n${readFileSync(rules, 'utf8')}`);
  server.sql('postgres', 'SELECT pg_reload_conf()');
  const file = join(scratch(), 'pgpass');
  writeFileSync(file, '*:*:other:guest:wrong\n*:*:enf:guest:secret\n', { mode: 0o600 });
  const url = urls[0]!.replace('enf@', 'guest@');
  await expect.poll(() => saidBy(url)).toContain('asks for a password');
  expect(await saidBy(url, { PGPASSFILE: file })).toBe('connected');
  expect(await saidBy(`${url.replace('guest@', 'guest:secret@')}`, { PGPASSFILE: '/nowhere' })).toBe(
    'connected',
  );
}, 30_000);

test('an address with an older word for TLS is used as before, without a warning', async () => {
  const { urls } = await place();
  // There is no TLS on a socket of this host: what is refused is refused in the same way.
  const [said, plain] = await Promise.all(
    ['require', 'verify-full'].map((mode) => saidBy(`${urls[0]}&sslmode=${mode}`)),
  );
  expect(said).not.toMatch(/warning/i);
  expect(said!.includes('connected')).toBe(plain!.includes('connected'));
});

function failureOf(action: () => unknown): unknown {
  try {
    action();
  } catch (error) {
    return error;
  }
}
