import { cpSync, existsSync, readFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test, vi } from 'vitest';
import { startControl } from '../../../../fabric/control.ts';
import type { Registry } from '../../../../fabric/registry/registry.ts';
import { askControl, serveControl } from '../../../../os/net/control-socket.ts';
import { toHex } from '../../../../protocol/bytes.ts';
import { formatIpv6 } from '../../../../protocol/ipv6.ts';
import { makeBatch } from '../../device.ts';
import { opened, registryFile, replaceDevices, scratch } from '../../place.ts';
import { applicant } from '../../registry/contract/place.ts';
import { fabricProgram } from '../program.ts';

const fabric = fabricProgram();
const NETWORK = 'fd00:1:2:3::/64';

/** A fabric with a network, a group and devices, which nobody serves. */
async function founded(devices: number) {
  const data = join(scratch(), 'fabric');
  const batch = makeBatch();
  await fabric.json('init', '--data', data);
  await fabric.json('network', 'add', NETWORK, '--name', 'plant', '--data', data);
  await fabric.json('group', 'add', '--label', batch.label, '--network', NETWORK, '--data', data);
  const registry = opened(join(data, 'registry.db'));
  const addresses: string[] = [];
  for (let i = 0; i < devices; i++) addresses.push(formatIpv6(await registry.admit(applicant(batch))));
  await registry.close();
  return { data, gid: toHex(batch.gid), addresses };
}

/**
 * A folder with nothing but the control socket of a fabric, whose registry is elsewhere: what a command does there, it
 * does through the socket.
 */
async function socketOnly(registry: Registry): Promise<string> {
  const data = scratch();
  const log: string[] = [];
  const control = await startControl(join(data, 'control.sock'), {
    registry,
    log: (_, message) => log.push(message),
  });
  onTestFinished(async () => {
    await control.close();
    expect(log).toEqual([]);
  });
  return data;
}

test('a change that holds but could not be applied at once is no failure, and says so', async () => {
  const registry = opened(registryFile());
  const data = scratch();
  const log: string[] = [];
  const control = await startControl(join(data, 'control.sock'), {
    registry,
    log: (_, message) => log.push(message),
    routes: { settled: () => Promise.reject(new Error('ip does not answer')), close: () => {} },
  });
  onTestFinished(() => control.close());
  const { code, out } = await fabric.run('network', 'add', NETWORK, '--data', data);
  expect([code, out]).toEqual([
    0,
    expect.stringContaining('the fabric did not confirm it: ip does not answer'),
  ]);
  expect((await registry.networks({ limit: 9 })).rows).toHaveLength(1);
  expect(log).toEqual(['a change could not be applied at once: ip does not answer']);
  // A command that has opened the registry itself learns of it, too.
  const changed = askControl(join(data, 'control.sock'), { method: 'POST', path: '/changed' });
  await expect(changed).rejects.toMatchObject({ code: 'control.bad-answer' });
});

describe('with a fabric that serves and without', () => {
  test('each command prints the same, but for what a running fabric alone knows', async () => {
    const alone = await founded(3);
    const served = join(scratch(), 'fabric');
    cpSync(alone.data, served, { recursive: true });
    const serving = await fabric.serve(served);
    const [first, second] = alone.addresses as [string, string];
    const gid = alone.gid.slice(0, 8);
    const other = makeBatch('other').label;
    const commands: string[][] = [
      ['network', 'add', 'fd00:7::/64', '--name', 'late'],
      ['network', 'add', 'fd00:7::/64'],
      ['network', 'list'],
      ['network', 'list', '--limit', '1'],
      ['group', 'add', '--label', other, '--network', 'fd00:7::/64'],
      ['group', 'add', '--label', other, '--network', 'fd00:8::/64'],
      ['group', 'list'],
      ['device', 'ban', first],
      ['device', 'ban', first],
      ['device', 'evict', second],
      ['device', 'ban', 'fd00::99'],
      ['group', 'suspend', gid],
      ['group', 'suspend', gid],
      ['device', 'list'],
      ['device', 'list', '--after', 'nonsense'],
      ['device', 'show', first],
      ['device', 'show', 'fd00::99'],
      ['group', 'resume', gid],
      ['group', 'resume', 'ffffffff'],
      ['audit'],
      ['audit', '--limit', '2'],
      ['audit', '--handshakes'],
      ['audit', '--expect', `1:${'0'.repeat(64)}`],
    ];
    const same = (text: string): string =>
      text
        .replaceAll('(no fabric is serving)', '(in force)')
        .replaceAll('unknown', 'offline')
        .replace(/"online": null/g, '"online": false')
        .replace(/\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d{3})?Z/g, 'TIME')
        .replace(/[0-9a-f]{64}/g, 'HASH');
    for (const command of commands) {
      const shows = ['list', 'show', 'audit'].some((word) => command.includes(word));
      for (const json of shows ? [[], ['--json']] : [[]]) {
        const both = [alone.data, served].map((data) => fabric.run(...command, ...json, '--data', data));
        const [a, b] = (await Promise.all(both)).map(({ code, out, err }) => ({
          code,
          out: same(out),
          err: same(err),
        }));
        expect(b, command.join(' ')).toEqual(a);
      }
    }
    expect(await serving.stop()).toBe(0);
  }, 120_000);

  test('commands leave the registry to the fabric that serves it', async () => {
    const registry = opened(registryFile());
    const data = await socketOnly(registry);
    const at = ['--data', data];
    const batch = makeBatch();
    await fabric.json('network', 'add', NETWORK, ...at);
    await fabric.json('group', 'add', '--label', batch.label, '--network', NETWORK, ...at);
    const address = formatIpv6(await registry.admit(applicant(batch)));
    const gid = toHex(batch.gid).slice(0, 8);
    expect((await fabric.run('device', 'ban', address, ...at)).out).toContain('(in force)');
    await fabric.json('device', 'unban', address, ...at);
    await fabric.json('device', 'evict', address, ...at);
    await fabric.json('group', 'suspend', gid, ...at);
    await fabric.json('group', 'resume', gid, ...at);
    for (const command of [
      ['network', 'list'],
      ['group', 'list'],
      ['device', 'list'],
      ['audit', '--handshakes'],
    ]) {
      expect(await fabric.json(...command, ...at), command.join(' ')).toHaveLength(1);
    }
    expect(await fabric.json('device', 'show', address, ...at)).toMatchObject({
      standing: 'evicted',
      online: false,
    });
    const { newest } = await fabric.json<{ newest: { action: string; actor: string }[] }>('audit', ...at);
    // Who sits at the command line, not the fabric.
    expect(newest.find((entry) => entry.action === 'device.ban')?.actor).not.toBe('fabric');
    expect(existsSync(join(data, 'registry.db'))).toBe(false);
  });
});

describe('a long list', () => {
  test('crosses the socket page by page, and is one JSON array or one table', async () => {
    const registry = opened(registryFile());
    const data = await socketOnly(registry);
    const batch = makeBatch();
    await fabric.json('network', 'add', NETWORK, '--data', data);
    await fabric.json('group', 'add', '--label', batch.label, '--network', NETWORK, '--data', data);
    const admitted = await Promise.all(Array.from({ length: 1_203 }, () => registry.admit(applicant(batch))));
    const limits: number[] = [];
    replaceDevices(registry, (devices) => (page) => {
      limits.push(page.limit);
      return devices(page);
    });
    const list = (...args: string[]) => fabric.run('device', 'list', ...args, '--data', data);
    const { out } = await list('--json');
    expect(limits).toEqual(Array.from({ length: 7 }, () => 200));
    const all = JSON.parse(out) as { address: string }[];
    expect(all.map((each) => each.address)).toEqual(admitted.map(formatIpv6));
    expect(out).toBe(`${JSON.stringify(all, null, 2)}\n`);

    const lines = (await list()).out.trimEnd().split('\n');
    expect(lines).toHaveLength(1_204);
    expect(lines[0]).toMatch(/^ADDRESS +NAME +STANDING +TUNNEL/);
    expect(lines.slice(1).map((line) => line.split(' ')[0])).toEqual(all.map((each) => each.address));

    limits.length = 0;
    const joined: unknown[] = [];
    let after: string[] = [];
    do {
      const part = await list('--json', '--limit', '501', ...after);
      joined.push(...JSON.parse(part.out));
      after = /--after \S+/.exec(part.err)?.[0].split(' ') ?? [];
    } while (after.length > 0);
    expect(joined).toEqual(all);
    expect(limits).toEqual([200, 200, 101, 200, 200, 101, 200, 200]);
  }, 60_000);

  test('an empty one is an empty array', async () => {
    const data = await socketOnly(opened(registryFile()));
    expect((await fabric.run('device', 'list', '--json', '--data', data)).out).toBe('[]\n');
    expect((await fabric.run('device', 'list', '--data', data)).out).toBe('No devices yet.\n');
  });

  test('of the audit trail goes on with older entries', async () => {
    const { data } = await founded(3);
    const trail = async (...args: string[]) => {
      const { out, err } = await fabric.run('audit', '--json', ...args, '--data', data);
      const { newest } = JSON.parse(out) as { newest: { seq: number }[] };
      return { seqs: newest.map((each) => each.seq), after: /--after (\S+)/.exec(err)?.[1] };
    };
    const newest = await trail('--limit', '4');
    expect(newest.seqs).toEqual([3, 4, 5, 6]);
    expect(await trail('--limit', '4', '--after', newest.after!)).toEqual({ seqs: [1, 2], after: undefined });
    expect(await trail()).toEqual({ seqs: [1, 2, 3, 4, 5, 6], after: undefined });
  });

  test.each(['0', '-1', 'many', '1000000'])('--limit %s is refused', async (limit) => {
    for (const command of [['device', 'list'], ['audit']]) {
      expect(await fabric.refusal(...command, `--limit=${limit}`, '--data', '/nowhere')).toMatchObject({
        code: 'cli.bad-option',
      });
    }
  });
});

/** How many Unix sockets have this path: the one that listens, and each connection to it. */
const socketsAt = (path: string): number =>
  readFileSync('/proc/net/unix', 'utf8')
    .split('\n')
    .filter((line) => line.endsWith(` ${path}`)).length;

describe('a fabric that does not answer', () => {
  test('because it was killed before it did: the failure has a name, and nothing is half done', async () => {
    const { data, addresses } = await founded(1);
    const at = ['--data', data];
    const serving = await fabric.serve(data);
    serving.pause();
    const refused = fabric.refusal('device', 'ban', addresses[0]!, ...at);
    // The kernel takes the connection for the stopped process, which reads nothing.
    await vi.waitFor(() => expect(socketsAt(join(data, 'control.sock'))).toBe(2), 10_000);
    await serving.stop('SIGKILL');
    expect(await refused).toMatchObject({ code: 'fabric.no-answer', remedy: 'retry' });
    expect(await fabric.json('device', 'show', addresses[0]!, ...at)).toMatchObject({ standing: 'active' });
    const { newest } = await fabric.json<{ newest: { action: string }[] }>('audit', ...at);
    expect(newest.map((entry) => entry.action)).not.toContain('device.ban');
    expect((await fabric.run('device', 'ban', addresses[0]!, ...at)).out).toContain('no fabric is serving');
  });

  test('because it ends while the change is made: the command fails, or the change is there', async () => {
    const { data, addresses } = await founded(1);
    const at = ['--data', data];
    for (const delayMs of [200, 350, 500, 650]) {
      const serving = await fabric.serve(data);
      const command = fabric.run('device', 'ban', addresses[0]!, ...at, '--json');
      await new Promise((resolve) => setTimeout(resolve, delayMs));
      await serving.stop('SIGKILL');
      const { code, err } = await command;
      const { standing } = await fabric.json<{ standing: string }>('device', 'show', addresses[0]!, ...at);
      const { newest } = await fabric.json<{ newest: { action: string }[] }>('audit', ...at);
      const bans = newest.filter((entry) => entry.action === 'device.ban').length;
      const unbans = newest.filter((entry) => entry.action === 'device.unban').length;
      expect(bans - unbans).toBe(standing === 'banned' ? 1 : 0);
      if (code === 0) expect(standing).toBe('banned');
      else expect(JSON.parse(err).error.code).toBe('fabric.no-answer');
      if (standing === 'banned') await fabric.json('device', 'unban', addresses[0]!, ...at);
    }
  }, 60_000);

  test('because it closes the connection, or speaks something else', async () => {
    for (const words of ['', 'SSH-2.0-x\r\n']) {
      const data = scratch();
      const server = createServer((socket) => {
        socket.on('error', () => {});
        socket.end(words);
      });
      await new Promise<void>((resolve) => server.listen(join(data, 'control.sock'), resolve));
      onTestFinished(() => void server.close());
      expect(await fabric.refusal('device', 'list', '--data', data)).toMatchObject({
        code: 'fabric.no-answer',
      });
    }
  });
});

test('a failure crosses the socket with code, message and action, a mistake with its message', async () => {
  const registry = opened(registryFile());
  const data = scratch();
  const log: string[] = [];
  const control = await startControl(join(data, 'control.sock'), {
    registry,
    log: (level, message) => log.push(`${level} ${message}`),
  });
  onTestFinished(() => control.close());
  const here = await fabric.refusal('device', 'show', 'fd00::99', '--data', data);
  expect(here).toMatchObject({
    code: 'fabric.unknown-device',
    remedy: 'operator',
    message: 'there is no device fd00::99',
    action: 'See "enf-fabric device list".',
  });
  expect(log).toEqual([]);
  replaceDevices(registry, () => () => Promise.reject(new TypeError('a mistake')));
  const { code, err } = await fabric.run('device', 'list', '--data', data);
  expect([code, err]).toEqual([1, expect.stringContaining('internal error: Error: a mistake')]);
  expect(log).toEqual([expect.stringMatching(/^error operation device-list: TypeError: a mistake\n/)]);
});

test('a fabric of a version without operations is told of the change, and asked for its sessions', async () => {
  const { data, addresses } = await founded(2);
  const asked: string[] = [];
  const control = await serveControl(join(data, 'control.sock'), ({ method, path }) => {
    asked.push(`${method} ${path}`);
    if (path === '/sessions') return [{ address: addresses[1] }];
    return path === '/changed' ? {} : undefined;
  });
  onTestFinished(() => control.close());
  const at = ['--data', data];
  expect(await fabric.json('device', 'list', ...at)).toMatchObject([{ online: false }, { online: true }]);
  expect((await fabric.run('device', 'ban', addresses[0]!, ...at)).out).toContain('(in force)');
  expect(asked).toEqual([
    'POST /operations/device-list',
    'GET /sessions',
    'POST /operations/device-standing',
    'POST /changed',
  ]);
  expect(await fabric.json('device', 'show', addresses[0]!, ...at)).toMatchObject({ standing: 'banned' });
});

test('names and filters are the same through the socket of a fabric that serves', async () => {
  const registry = opened(registryFile());
  const data = await socketOnly(registry);
  const at = ['--data', data];
  const batch = makeBatch();
  await fabric.json('network', 'add', NETWORK, ...at);
  await fabric.json('group', 'add', '--label', batch.label, '--network', NETWORK, '--announced', '5', ...at);
  const [one, other] = [
    formatIpv6(await registry.admit(applicant(batch))),
    formatIpv6(await registry.admit(applicant(batch))),
  ];
  const gid = (await fabric.json<{ gid: string; announced: number }[]>('group', 'list', ...at))[0]!;
  expect(gid.announced).toBe(5);
  await fabric.json('device', 'name', one, 'pump-7', ...at);
  await fabric.json('device', 'note', one, 'behind the pump', ...at);
  await fabric.json('device', 'ban', other, ...at);
  await fabric.json('group', 'rename', gid.gid.slice(0, 8), 'Pumps', ...at);
  await fabric.json('group', 'announce', gid.gid.slice(0, 8), '0', ...at);
  await fabric.json('network', 'rename', NETWORK, 'North plant', ...at);
  const listed = async (...args: string[]): Promise<string[]> =>
    (await fabric.json<{ address: string }[]>('device', 'list', ...args, ...at)).map(
      ({ address }) => address,
    );
  expect(await listed('--search', 'pump-7')).toEqual([one]);
  // Also by the name of their batch, in the order in which they came.
  expect(await listed('--search', 'pumps')).toEqual([one, other]);
  expect(await listed('--standing', 'banned', '--group', gid.gid.slice(0, 8))).toEqual([other]);
  expect(await listed('--tunnel', 'open')).toEqual([]);
  expect((await fabric.run('device', 'list', '--tunnel', 'open', ...at)).out).toBe(
    'No device is like that.\n',
  );
  expect((await fabric.run('device', 'show', one, ...at)).out).toMatch(
    /^Name +pump-7\nNote +behind the pump$/m,
  );
  expect((await fabric.run('group', 'list', ...at)).out).toMatch(/Pumps/);
  expect((await fabric.run('network', 'list', ...at)).out).toMatch(/North plant/);
  expect(await fabric.refusal('device', 'list', '--standing', 'lost', ...at)).toMatchObject({
    code: 'fabric.bad-input',
  });
  expect(await fabric.refusal('device', 'name', other, 'pump-7', ...at)).toMatchObject({
    code: 'fabric.name-exists',
  });
  expect(await fabric.refusal('group', 'announce', gid.gid, 'many', ...at)).toMatchObject({
    code: 'cli.bad-option',
  });
});
