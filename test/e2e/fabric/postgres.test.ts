import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Server, startServer, stopServer } from '../../fabric/registry/postgres/server.ts';
import { admit, inSoftware, must, openBatch } from '../batch.ts';
import { eventually } from '../process.ts';
import { type Device, ping, type World } from '../world.ts';

describe('a fabric whose registry is on PostgreSQL', () => {
  let world: World;
  let server: Server;
  let group: string;
  let first: Device;
  let second: Device;
  let servers: string;

  const addresses = new Map<Device, string>();
  const online = async (device: Device): Promise<string> => (await device.until('online', 60_000)).address!;
  const begin = async (n: number): Promise<Device> => {
    const device = await inSoftware(world, group, n);
    device.start();
    return device;
  };
  const reaches = (device: Device): Promise<number> =>
    eventually('an answer', () => ping(world.network.fabric, addresses.get(device)!), 30_000);

  beforeAll(async () => {
    server = await startServer();
    server.sql('postgres', 'CREATE DATABASE enf');
    const batch = await openBatch('postgres');
    ({ world, group } = batch);
    await admit(world, batch.label);
    first = await begin(1);
    addresses.set(first, await online(first));
    servers = join(world.folder, 'servers');
    writeFileSync(servers, `${server.url('enf')}\n`, { mode: 0o600 });
  });
  afterAll(async () => {
    await world?.close();
    if (server !== undefined) await stopServer(server);
  });

  test('is moved there while it is stopped, not while it serves', async () => {
    const refused = await world.fabric.run('registry', 'move', servers);
    expect(refused.code).toBe(1);
    expect(refused.stderr).toContain('fabric.running');
    await world.fabric.stop();
    expect(await must(world.fabric.run('registry', 'move', servers))).toContain('devices 1;');
    expect(existsSync(join(world.fabric.data, 'registry.db'))).toBe(false);
    await world.fabric.serve();
  });

  test('keeps its devices, admits others, and bans one', async () => {
    expect(await online(first)).toBe(addresses.get(first));
    await reaches(first);
    second = await begin(2);
    addresses.set(second, await online(second));
    await reaches(second);
    await must(world.fabric.run('device', 'ban', addresses.get(second)!));
    await second.until('blocked', 60_000);
    await must(world.fabric.run('device', 'unban', addresses.get(second)!));
  });

  test('without the server tunnels go on; who comes then gets in once it is back', async () => {
    await server.kill();
    const third = await begin(3);
    await reaches(first);
    const asked = await world.fabric.run('device', 'list');
    expect(asked.code).toBe(1);
    expect(asked.stderr).toContain('registry.unreachable');
    await third.until('backing-off', 60_000);
    await server.start();
    addresses.set(third, await online(third));
    await reaches(third);
    await reaches(first);
  });

  test('is as it was after the fabric was killed; a backup has all of it', async () => {
    await world.fabric.stop('SIGKILL');
    await world.fabric.serve();
    await reaches(first);
    expect(await must(world.fabric.run('audit'))).toContain('unbroken');
    const backup = join(world.folder, 'fabric.backup');
    expect(await must(world.fabric.run('backup', 'create', backup))).toContain('devices 3');
    expect(await must(world.fabric.run('device', 'list'))).toContain(addresses.get(first)!);
  });
});
