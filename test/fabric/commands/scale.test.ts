import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { EVERYTHING } from '../../../fabric/access/scope.ts';
import { startControl } from '../../../fabric/control.ts';
import { openReader } from '../../../fabric/open-registry.ts';
import { openDatabase } from '../../../fabric/registry/sqlite/database.ts';
import { MIGRATIONS } from '../../../fabric/registry/sqlite/schema.ts';
import { generate } from '../../bench/scale/generate.ts';
import { opened, registryFile, replaceDevices, scratch } from '../place.ts';
import { fabricProgram } from './program.ts';

const fabric = fabricProgram();

interface Listed {
  readonly address: string;
  readonly online: boolean | null;
}

/** A fabric with so many devices. */
const generated = (devices: number) => generate(join(scratch(), 'fabric'), devices);

/** The same, served by this process, which notes what it is asked to read. */
async function served(devices: number) {
  const { data, gid } = await generated(devices);
  const registry = opened(join(data, 'registry.db'));
  const asked: string[] = [];
  const { verifyAudit, isConnected } = registry;
  replaceDevices(registry, (devices) => (page) => {
    asked.push('devices');
    return devices(page);
  });
  registry.verifyAudit = (expected) => {
    asked.push('audit');
    return verifyAudit(expected);
  };
  registry.isConnected = (address) => {
    asked.push('connected');
    return isConnected(address);
  };
  const control = await startControl(join(data, 'control.sock'), { registry, log: () => {} });
  onTestFinished(() => control.close());
  return { data, gid, registry, asked };
}

describe('[H-E] a list that is longer than one wants to read', () => {
  test('ends after 1,500 rows, and says how to go on', async () => {
    const { data } = await generated(1_650);
    const list = (...args: string[]) => fabric.run('device', 'list', '--json', ...args, '--data', data);
    const first = await list();
    const rows = JSON.parse(first.out) as Listed[];
    expect(rows).toHaveLength(1_500);
    const after = /--after \S+/.exec(first.err)![0].split(' ');
    const rest = await list(...after);
    expect([JSON.parse(rest.out).length, rest.err]).toEqual([150, '']);
    const all = await list('--all');
    expect(all.err).toBe('');
    expect(JSON.parse(all.out)).toEqual([...rows, ...JSON.parse(rest.out)]);
    expect(all.out).toBe(`${JSON.stringify(JSON.parse(all.out), null, 2)}\n`);
    expect(JSON.parse((await list('--all', ...after)).out)).toHaveLength(150);
    expect(JSON.parse((await list('--limit', '1600')).out)).toHaveLength(1_600);
    const table = await fabric.run('device', 'list', '--all', '--data', data);
    expect(table.out.trimEnd().split('\n')).toHaveLength(1_651);
    expect(await fabric.refusal('device', 'list', '--all', '--limit', '5', '--data', data)).toMatchObject({
      code: 'cli.bad-option',
    });
  });

  test('is read beside the fabric that serves it, which only says who is connected', async () => {
    const { data, registry, asked } = await served(1_200);
    const { rows } = await registry.devices({ limit: 3 });
    registry.connected(rows[1]!.address, '192.0.2.1:5000');
    asked.length = 0;
    const all = await fabric.json<Listed[]>('device', 'list', '--all', '--data', data);
    expect(all).toHaveLength(1_200);
    expect(all.map(({ online }) => online).filter(Boolean)).toHaveLength(1);
    expect(all[1]!.online).toBe(true);
    expect(asked).toEqual(Array(1_200).fill('connected'));
    for (const list of ['group', 'network'])
      expect(await fabric.json(list, 'list', '--all', '--data', data)).toHaveLength(1);
  });

  test('waits for a reader that does not read', async () => {
    const { data, asked } = await served(12_000);
    const child = fabric.start('device', 'list', '--all', '--json', '--data', data);
    child.stdout.pause();
    await expect.poll(() => asked.length, { timeout: 20_000 }).toBeGreaterThan(0);
    await new Promise((resolve) => setTimeout(resolve, 1_000));
    expect(asked.length).toBeLessThanOrEqual(3_000);
    let text = '';
    for await (const chunk of child.stdout.setEncoding('utf8')) text += chunk;
    expect(JSON.parse(text)).toHaveLength(12_000);
  }, 60_000);
});

describe('[H-E] the audit trail', () => {
  test('is verified beside the fabric that serves it', async () => {
    const { data, asked } = await served(300);
    const { entries } = await fabric.json<{ entries: number }>('audit', '--data', data);
    expect(entries).toBe(303);
    expect(asked).toEqual([]);
  });

  test('is verified by the fabric where the registry cannot be read, as from afar', async () => {
    const { registry, asked } = await served(20);
    const data = scratch();
    const control = await startControl(join(data, 'control.sock'), { registry, log: () => {} });
    onTestFinished(() => control.close());
    expect(await fabric.json('audit', '--data', data)).toMatchObject({ entries: 23 });
    expect(await fabric.json('device', 'list', '--all', '--data', data)).toHaveLength(20);
    expect(asked.filter((each) => each !== 'connected')).toEqual(['audit', 'devices']);
  });
});

describe('[H-E] a registry that is read beside its fabric', () => {
  test('is the one of this version, and is not written', async () => {
    const path = registryFile();
    const registry = opened(path);
    const reader = await openReader(path);
    expect((await reader!.of(EVERYTHING).audit({ limit: 9 })).rows).toEqual(
      (await registry.audit({ limit: 9 })).rows,
    );
    await reader!.close();

    const old = join(scratch(), 'old.db');
    writeFileSync(old, '');
    const db = openDatabase(old, { steps: MIGRATIONS.slice(0, -1) });
    expect(await openReader(old)).toBeUndefined();
    db.close();
    await expect(openReader(`${old}.none`)).rejects.toMatchObject({ code: 'registry.not-writable' });
  });

  test('shows what was committed a moment ago', async () => {
    const { data, gid } = await generated(3);
    const serving = await fabric.serve(data);
    expect((await fabric.run('group', 'suspend', gid, '--data', data)).out).toContain('(in force)');
    const all = await fabric.json<{ standing: string }[]>('device', 'list', '--all', '--data', data);
    expect(all.map(({ standing }) => standing)).toEqual(['suspended', 'suspended', 'suspended']);
    expect(await serving.stop()).toBe(0);
  });
});
