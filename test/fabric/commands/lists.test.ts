import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openRegistry } from '../../../fabric/open-registry.ts';
import { parseIpv6 } from '../../../protocol/ipv6.ts';
import { makeBatch } from '../device.ts';
import { scratch, wholeOf } from '../place.ts';
import { applicant } from '../registry/contract/place.ts';
import { fabricProgram } from './program.ts';

const fabric = fabricProgram();
const NETWORK = 'fd00:1:2:3::/64';
let at: string[];
let data: string;
const addresses: string[] = [];

beforeAll(async () => {
  data = join(mkdtempSync(join(tmpdir(), 'enf-lists-')), 'fabric');
  at = ['--data', data];
  await fabric.json('init', ...at);
  await fabric.json('network', 'add', NETWORK, '--name', 'plant', ...at);
  const batch = makeBatch();
  await fabric.run('group', 'add', '--label', batch.label, '--network', NETWORK, ...at);
  const registry = wholeOf(await openRegistry(join(data, 'registry.db')));
  for (let i = 0; i < 3; i++) {
    const address = await registry.admit({ ...applicant(batch), source: '192.0.2.1' });
    addresses.push(await import('../../../protocol/ipv6.ts').then(({ formatIpv6 }) => formatIpv6(address)));
  }
  const [one, two] = addresses.map(parseIpv6) as [Uint8Array, Uint8Array];
  registry.connected(one, '192.0.2.1:4');
  registry.reported(two, { version: '1.2', failure: { code: 'tls.clock', seconds: 5 } });
  await registry.nameDevice('anna', two, { name: '=1+1, "x"' });
  await registry.close();
  const later = wholeOf(await openRegistry(join(data, 'registry.db')));
  await later.setStanding('anna', two, 'ban');
  await later.close();
});

afterAll(() => rmSync(join(data, '..'), { recursive: true }));

describe('a list', () => {
  test('is counted beside the table, not in it', async () => {
    const { out, err } = await fabric.run('device', 'list', ...at);
    expect(out.trim().split('\n')).toHaveLength(4);
    expect(err).toBe('3 devices.\n');
    expect((await fabric.run('network', 'list', ...at)).err).toBe('1 network.\n');
    expect((await fabric.run('token', 'list', ...at)).err).toBe('');
    expect((await fabric.run('device', 'list', '--json', ...at)).err).toBe('');
  });

  test('is CSV that a spreadsheet reads, and takes for no formula', async () => {
    const { out, err } = await fabric.run('device', 'list', '--csv', ...at);
    const lines = out.split('\r\n');
    expect(lines[0]).toBe('ADDRESS,NAME,STANDING,TUNNEL,GROUP,LAST HANDSHAKE,LAST TUNNEL,AGENT,LAST FAILURE');
    expect(lines[1]).toMatch(new RegExp(`^${addresses[0]},,active,`));
    expect(lines[2]).toContain(`${addresses[1]},"'=1+1, ""x""",banned,`);
    expect(lines).toHaveLength(5);
    expect(lines[4]).toBe('');
    expect(err).toBe('');
    expect((await fabric.run('token', 'list', '--csv', ...at)).out).toMatch(/^[A-Z ,]+\r\n$/);
    expect(await fabric.refusal('device', 'list', '--csv', ...at)).toMatchObject({ code: 'cli.bad-option' });
  });

  test('of devices is narrowed to those without a tunnel, and by their last failure', async () => {
    const listed = async (...options: string[]): Promise<string[]> =>
      (await fabric.json<{ address: string }[]>('device', 'list', ...options, ...at)).map(
        ({ address }) => address,
      );
    expect(await listed('--offline')).toEqual(addresses.slice(1));
    expect(await listed('--tunnel', 'offline', '--failure', 'any')).toEqual([addresses[1]]);
    expect(await listed('--failure', 'tls.clock')).toEqual([addresses[1]]);
    expect(await listed('--failure', 'tls.other')).toEqual([]);
    expect(await listed('--offline', '--standing', 'banned', '--network', NETWORK)).toEqual([addresses[1]]);
    const refusal = await fabric.refusal('device', 'list', '--offline', '--tunnel', 'open', ...at);
    expect(refusal).toMatchObject({ code: 'cli.bad-option' });
  });
});

describe('the audit trail', () => {
  const actions = async (...options: string[]): Promise<string[]> =>
    (await fabric.json<{ newest: { action: string }[] }>('audit', ...options, ...at)).newest.map(
      ({ action }) => action,
    );

  test('is narrowed to an action, to what begins with it, and in time', async () => {
    expect(await actions('--what', 'device.ban')).toEqual(['device.ban']);
    expect(await actions('--what', 'device')).toEqual([
      ...Array.from({ length: 3 }, () => 'device.admit'),
      'device.name',
      'device.ban',
    ]);
    expect(await actions('--what', 'dev')).toEqual([]);
    expect(await actions('--what', 'device', '--limit', '2')).toEqual(['device.name', 'device.ban']);
    expect((await actions('--since', '1h')).length).toBe((await actions()).length);
    expect(await actions('--since', '2999-01-01')).toEqual([]);
    expect((await actions('--since', '2020-01-01T00:00')).length).toBe((await actions()).length);
    for (const wrong of ['soon', '5', '2026-13-01', '1w', '-1h'])
      expect(await fabric.refusal('audit', `--since=${wrong}`, ...at), wrong).toMatchObject({
        code: 'cli.bad-option',
      });
  });

  test('of handshakes is narrowed by result', async () => {
    const rows = async (...options: string[]): Promise<unknown[]> =>
      fabric.json('audit', '--handshakes', ...options, ...at);
    expect(await rows('--what', 'ok', '--since', '1h')).toHaveLength(3);
    expect(await rows('--what', 'refused')).toEqual([]);
  });
});

test('status --check says by its exit code whether a fabric is serving', async () => {
  const before = await fabric.run('status', '--check', ...at);
  expect([before.code, before.out]).toEqual([1, expect.stringContaining('no fabric is serving')]);
  const serving = await fabric.serve(data, '--tun', 'none');
  const during = await fabric.run('status', '--check', ...at);
  expect([during.code, during.out]).toEqual([0, expect.stringContaining('identity ')]);
  await serving.stop();
});

test('netcheck finds the fabric that serves, by its own trust bundle', async () => {
  const serving = await fabric.serve(data, '--tun', 'none');
  const ports = [
    '--identity-port',
    String(serving.identityPort),
    '--tunnel-port',
    String(serving.tunnelPort),
  ];
  const { code, out } = await fabric.run('netcheck', '127.0.0.1', ...ports, ...at);
  expect([code, out]).toEqual([0, expect.stringContaining('the identity server of this fabric')]);
  const copy = join(scratch(), 'trust.json');
  writeFileSync(copy, readFileSync(join(data, 'trust.json')));
  expect((await fabric.run('netcheck', '127.0.0.1', ...ports, '--trust', copy)).code).toBe(0);
  await serving.stop();
  expect((await fabric.run('netcheck', '127.0.0.1', ...ports, ...at)).code).toBe(1);
  expect(await fabric.refusal('netcheck', 'x', '--tunnel-port', '0', ...at)).toMatchObject({
    code: 'cli.bad-option',
  });
});
