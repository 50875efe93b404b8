import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { parseTrust } from '../../../protocol/identity/trust.ts';
import { formatIpv6 } from '../../../protocol/ipv6.ts';
import { makeBatch, provision } from '../device.ts';
import { scratch } from '../place.ts';
import { fabricProgram } from './program.ts';

const fabric = fabricProgram();
const elsewhere = fabricProgram(['env', 'ENF_API=https://fabric.example:8480']);
const NETWORK = 'fd00:1:2:3::/64';

/** A fabric that serves with its API; the options by which a command reaches it as the bearer of a new token. */
async function served(role: string) {
  const data = join(scratch(), 'fabric');
  const { trust } = await fabric.json<{ trust: string }>('init', '--data', data);
  const serving = await fabric.serve(data);
  const api = await fabric.console(data);
  const token = await tokenFile(data, role);
  return { data, trust, serving, api, at: ['--api', api.url, '--token-file', token.file], id: token.id };
}

async function tokenFile(data: string, role: string): Promise<{ file: string; id: number }> {
  const made = await fabric.json<{ id: number; token: string }>(
    ...['token', 'create', '--name', 'anna', '--role', role, '--data', data],
  );
  const file = join(scratch(), 'token');
  writeFileSync(file, `${made.token}\n`);
  return { file, id: made.id };
}

test('what is of the host looks at no other machine than is meant', async () => {
  const [file, folder] = [join(scratch(), 'a.tar'), scratch()];
  for (const command of [['doctor'], ['backup', 'create', file], ['root', 'export', folder]])
    expect(await elsewhere.refusal(...command), command[0]).toMatchObject({
      code: 'cli.host-only',
      message: expect.stringContaining('https://fabric.example:8480'),
    });
  // Whoever names a folder means this machine.
  const named = await elsewhere.refusal('root', 'export', folder, '--data', scratch());
  expect(named.code).not.toBe('cli.host-only');
});

describe('from afar', () => {
  test('each command does and prints what it does on the host', async () => {
    const { data, trust, serving, api, at } = await served('owner');
    const batch = makeBatch();
    await fabric.json('network', 'add', NETWORK, '--name', 'plant', ...at);
    await fabric.json('group', 'add', '--label', batch.label, '--network', NETWORK, ...at);
    const root = parseTrust(readFileSync(trust, 'utf8')).xttRoot;
    const chip = await batch.chip();
    const { identity } = await provision({ port: serving.identityPort, root, gid: batch.gid, chip });
    const address = formatIpv6(identity);
    const gid = Buffer.from(batch.gid).toString('hex').slice(0, 8);
    expect((await fabric.run('device', 'ban', address, ...at)).out).toContain('in force');
    for (const command of [
      ['network', 'list'],
      ['group', 'list'],
      ['group', 'suspend', gid],
      ['group', 'resume', gid],
      ['device', 'list'],
      ['device', 'list', '--limit', '1'],
      ['device', 'show', address],
      ['device', 'ban', address],
      ['audit', '--limit', '500'],
    ]) {
      const [there, here] = [
        await fabric.run(...command, ...at),
        await fabric.run(...command, '--data', data),
      ];
      // What a command changes it changes once.
      const sure = (text: string): string => text.replace(/ (?:is|was) (suspended|active)[^\n]*/, ' $1');
      expect(sure(there.out), command.join(' ')).toBe(sure(here.out));
      expect([there.code, there.err]).toEqual([0, here.err]);
    }
    const { newest } = await fabric.json<{ newest: { actor: string; action: string }[] }>(
      'audit',
      '--limit',
      '100',
      '--data',
      data,
    );
    expect(newest.filter(({ action }) => action === 'device.ban').map(({ actor }) => actor)).toEqual([
      expect.stringMatching(/^anna \(token \d+\)$/),
    ]);
    expect(await api.stop()).toBe(0);
    expect(await serving.stop()).toBe(0);
  });

  test('a role is what it is on the host, and a token ends at once', async () => {
    const { data, at, id } = await served('auditor');
    expect(await fabric.refusal('network', 'add', NETWORK, ...at)).toMatchObject({
      code: 'access.forbidden',
    });
    expect(await fabric.refusal('owner', 'list', ...at)).toMatchObject({
      code: 'access.forbidden',
      action: expect.stringContaining('on its host'),
    });
    expect(await fabric.json('network', 'list', ...at)).toEqual([]);
    await fabric.json('token', 'revoke', String(id), '--data', data);
    expect(await fabric.refusal('network', 'list', ...at)).toMatchObject({ code: 'access.bad-token' });
    expect((await fabric.run('token', 'list', '--data', data)).out).toContain('revoked');
  });

  test('without a fabric behind the API it says so, and works again when there is one', async () => {
    const { data, serving, at } = await served('auditor');
    await serving.stop();
    expect(await fabric.refusal('network', 'list', ...at)).toMatchObject({
      code: 'fabric.not-serving',
      remedy: 'retry',
    });
    await fabric.serve(data);
    expect(await fabric.json('network', 'list', ...at)).toEqual([]);
  });

  test('an address, a token or a file that is none is refused by name', async () => {
    const { api, at } = await served('auditor');
    const file = at[3]!;
    const list = (...options: string[]) => fabric.refusal('network', 'list', ...options);
    expect(await list('--api', 'fabric.example', '--token-file', file)).toMatchObject({
      code: 'cli.bad-option',
    });
    expect(await list('--api', 'ftp://127.0.0.1', '--token-file', file)).toMatchObject({
      code: 'cli.bad-option',
    });
    expect(await list('--api', 'http://192.0.2.1:8480', '--token-file', file)).toMatchObject({
      code: 'cli.bad-option',
    });
    expect(await list('--api', api.url)).toMatchObject({ code: 'cli.missing-option' });
    expect(await list('--api', api.url, '--token-file', '/nowhere')).toMatchObject({ code: 'os.no-file' });
    expect(await list('--api', 'http://127.0.0.1:1', '--token-file', file)).toMatchObject({
      code: 'api.unreachable',
    });
    writeFileSync(file, 'enf_wrong');
    expect(await list(...at)).toMatchObject({ code: 'access.bad-token' });
  });
});

test('the API listens beyond loopback only with a certificate', async () => {
  const data = ['--data', scratch()];
  expect(await fabric.refusal('console', 'serve', '--listen', '0.0.0.0:0', ...data)).toMatchObject({
    code: 'config.bad-console',
  });
  expect(await fabric.refusal('console', 'serve', '--certificate', 'x', ...data)).toMatchObject({
    code: 'config.bad-console',
  });
});

test('a token has a role, a name and days', async () => {
  const data = join(scratch(), 'fabric');
  await fabric.json('init', '--data', data);
  const create = (...options: string[]) => fabric.refusal('token', 'create', '--data', data, ...options);
  expect(await create()).toMatchObject({ code: 'cli.missing-option' });
  expect(await create('--name', 'x', '--role', 'root')).toMatchObject({ code: 'cli.bad-option' });
  expect(await create('--name', 'x', '--days', 'ten')).toMatchObject({ code: 'cli.bad-option' });
  expect(await create('--name', 'x', '--days', '367')).toMatchObject({ code: 'fabric.bad-input' });
  expect(await fabric.refusal('token', 'revoke', 'x', '--data', data)).toMatchObject({
    code: 'cli.bad-option',
  });
  expect(await fabric.refusal('token', 'revoke', '9', '--data', data)).toMatchObject({
    code: 'fabric.unknown-token',
  });
});
