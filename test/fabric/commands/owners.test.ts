import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { makeBatch } from '../device.ts';
import { scratch } from '../place.ts';
import { fabricProgram } from './program.ts';

const fabric = fabricProgram();

const LENT = 'fd00:8f80:9000::/48';
const OWN = 'fd00:8f80:9000:1::/64';
const FIRST = 'fd00:8f80:8000:1::/64';

async function founded(): Promise<string[]> {
  const data = join(scratch(), 'fabric');
  await fabric.json('init', '--data', data);
  return ['--data', data];
}

describe('owners', () => {
  test('are added, get a prefix and networks in it, are renamed and closed', async () => {
    const data = await founded();
    expect((await fabric.run('owner', 'add', 'acme', ...data)).out).toContain('enf-fabric owner lend acme');
    expect((await fabric.run('owner', 'lend', 'acme', LENT, ...data)).out).toBe(
      `Owner acme adds networks in ${LENT}.\n`,
    );
    await fabric.json('network', 'add', OWN, '--name', 'lab', '--owner', 'acme', ...data);
    await fabric.json('network', 'add', FIRST, ...data);
    expect(await fabric.refusal('network', 'add', 'fd00:8f80:9000:2::/64', ...data)).toMatchObject({
      code: 'fabric.prefix-not-lent',
    });
    const listed = await fabric.run('owner', 'list', ...data);
    expect(listed.out).toMatch(
      /OWNER +STATUS.*\ndefault +active +1 +- .*\nacme +active +1 +fd00:8f80:9000::\/48/,
    );
    expect((await fabric.run('owner', 'rename', 'acme', 'umbra', ...data)).out).toContain('umbra');
    await fabric.json('network', 'remove', OWN, '--yes', '--owner', 'umbra', ...data);
    expect((await fabric.run('owner', 'take-back', 'umbra', LENT, ...data)).out).toContain('nothing');
    expect(await fabric.refusal('owner', 'close', 'umbra', ...data)).toMatchObject({
      code: 'cli.not-confirmed',
    });
    expect((await fabric.run('owner', 'close', 'umbra', '--yes', ...data)).out).toContain('closed');
    expect(await fabric.refusal('network', 'list', '--owner', 'umbra', ...data)).toMatchObject({
      code: 'fabric.unknown-owner',
    });
    expect(await fabric.refusal('owner', 'close', 'default', '--yes', ...data)).toMatchObject({
      code: 'fabric.default-owner',
    });
    expect(await fabric.refusal('owner', 'add', 'Acme GmbH', ...data)).toMatchObject({
      code: 'fabric.bad-input',
    });
    expect(await fabric.refusal('owner', 'member', 'default', 'anna', 'king', ...data)).toMatchObject({
      code: 'cli.bad-arguments',
    });
  });

  test('are named in lists for whoever sees several of them, and for nobody else', async () => {
    const data = await founded();
    await fabric.json('network', 'add', FIRST, '--name', 'plant', ...data);
    const lists = [['audit'], ['audit', '--handshakes'], ['alarm', 'list'], ['network', 'list', '--csv']];
    const text = async (...args: string[]): Promise<string> => (await fabric.run(...args, ...data)).out;
    for (const list of lists) expect(await text(...list)).not.toContain('OWNER');
    await fabric.json('owner', 'add', 'acme', ...data);
    await fabric.json('owner', 'lend', 'acme', LENT, ...data);
    await fabric.json('network', 'add', OWN, '--name', 'lab', '--owner', 'acme', ...data);
    expect(await text('audit')).toMatch(/SUBJECT +OWNER +DETAIL/);
    expect(await text('audit')).toMatch(/network\.add +fd00:8f80:9000:1::\/64 +acme +\{/);
    expect(await text('audit')).toMatch(/network\.add +fd00:8f80:8000:1::\/64 +default +\{/);
    expect(await text('audit')).toMatch(/owner\.add +\S+(?: \S+)* +- +\{/);
    expect(await text('network', 'list', '--csv')).toMatch(/OWNER\r\n.*default\r\n.*acme\r\n/);
    for (const list of lists) expect(await text(...list, '--owner', 'acme')).not.toContain('OWNER');
    const { newest } = await fabric.json<{ newest: { action: string; owner: string | null }[] }>(
      'audit',
      ...data,
    );
    expect(newest.map(({ action, owner }) => [action, owner])).toEqual(
      expect.arrayContaining([
        ['network.add', 'default'],
        ['network.add', 'acme'],
        ['owner.add', null],
      ]),
    );
  });

  test('see their own alone, also through a fabric that serves and its API', async () => {
    const data = await founded();
    for (const [name, prefix, network] of [
      ['acme', LENT, OWN],
      ['umbra', 'fd00:8f80:a000::/48', 'fd00:8f80:a000:1::/64'],
    ] as const) {
      await fabric.json('owner', 'add', name, ...data);
      await fabric.json('owner', 'lend', name, prefix, ...data);
      await fabric.json('network', 'add', network, '--owner', name, ...data);
    }
    await fabric.serve(data[1]!);
    const prefixes = async (...args: string[]): Promise<string[]> =>
      (await fabric.json<{ prefix: string }[]>('network', 'list', ...args)).map(({ prefix }) => prefix);
    expect(await prefixes('--owner', 'acme', ...data)).toEqual([OWN]);
    expect(await prefixes('--owner', 'acme', '--all', ...data)).toEqual([OWN]);
    expect(await prefixes(...data)).toHaveLength(2);
    const batch = makeBatch();
    const added = ['group', 'add', '--label', batch.label, '--network', OWN] as const;
    expect(await fabric.refusal(...added, '--owner', 'umbra', ...data)).toMatchObject({
      code: 'fabric.unknown-network',
    });
    const { token } = await fabric.json<{ token: string }>(
      ...['token', 'create', '--name', 'robot', '--role', 'owner', '--owner', 'acme', ...data],
    );
    const api = await fabric.console(data[1]!, '--listen', '127.0.0.1:0');
    const list = async (owner?: string): Promise<string> => {
      const headers = {
        authorization: `Bearer ${token}`,
        ...(owner !== undefined && { 'enf-owner': owner }),
      };
      return (await fetch(`${api.url}/api/v1/networks`, { headers })).text();
    };
    expect(await list()).toContain(OWN);
    expect(await list()).not.toContain('a000');
    expect(await list('umbra')).toContain('fabric.unknown-owner');
  });
});
