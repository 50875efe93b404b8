import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { openSqliteRegistry } from '../../../fabric/registry/sqlite/open.ts';
import { scratch, wholeOf } from '../place.ts';
import { somebody } from '../registry/contract/people.ts';
import { fabricProgram } from './program.ts';

const fabric = fabricProgram();

/** A fabric's folder with an owner and an operator. */
async function folder(): Promise<string[]> {
  const data = join(scratch(), 'fabric');
  await fabric.json('init', '--data', data);
  const registry = wholeOf(openSqliteRegistry(join(data, 'registry.db')));
  await somebody(registry, 'Anna');
  await somebody(registry, 'Bob', 'operator');
  await registry.close();
  return ['--data', data];
}

describe('people', () => {
  test('are listed, get another role and are removed by name', async () => {
    const data = await folder();
    expect((await fabric.run('person', 'list', ...data)).out).toMatch(/Anna +owner.*\n.*Bob +operator/);
    expect((await fabric.run('person', 'role', 'bob', 'auditor', ...data)).out).toBe('Bob is auditor.\n');
    expect((await fabric.run('person', 'role', 'bob', 'auditor', ...data)).out).toContain('was already');
    expect((await fabric.run('person', 'remove', 'bob', '--yes', ...data)).out).toBe('Bob is removed.\n');
    expect(await fabric.json('person', 'list', ...data)).toMatchObject([
      { name: 'Anna', removed: null },
      { name: 'Bob', removed: expect.any(String) },
    ]);
    expect(await fabric.refusal('person', 'remove', 'bob', '--yes', ...data)).toMatchObject({
      code: 'fabric.unknown-person',
    });
    expect(await fabric.refusal('person', 'remove', 'anna', '--yes', ...data)).toMatchObject({
      code: 'fabric.last-owner',
    });
    expect(await fabric.refusal('person', 'role', 'anna', 'root', ...data)).toMatchObject({
      code: 'cli.bad-option',
    });
  });

  test('are invited', async () => {
    const data = await folder();
    const { invite } = await fabric.json<{ invite: string }>('console', 'invite', ...data);
    expect(invite).toMatch(/^enfi_[\w-]{49}$/);
    const printed = await fabric.run('console', 'invite', '--role', 'installer', '--hours', '168', ...data);
    expect(printed.out).toMatch(/^http:\/\/localhost:8480\/#\/setup\/enfi_[\w-]{49}\n\n.*installer/);
    for (const wrong of [
      ['--role', 'root'],
      ['--hours', 'x'],
    ])
      expect(await fabric.refusal('console', 'invite', ...wrong, ...data)).toMatchObject({
        code: 'cli.bad-option',
      });
    const open = await fabric.json<{ id: string; role: string }[]>('person', 'invites', ...data);
    expect(open.map(({ role }) => role).sort()).toEqual(['installer', 'owner']);
    const installer = open.find(({ role }) => role === 'installer')!.id;
    const listed = (await fabric.run('person', 'invites', ...data)).out;
    expect(listed).toMatch(new RegExp(`${installer} +installer +default`));
    expect(listed).not.toContain(invite);
    expect((await fabric.run('person', 'withdraw', installer, ...data)).out).toBe(
      'The invite as installer is withdrawn.\n',
    );
    expect(await fabric.json('person', 'invites', ...data)).toMatchObject([{ role: 'owner' }]);
    expect(await fabric.refusal('person', 'withdraw', installer, ...data)).toMatchObject({
      code: 'fabric.unknown-invite',
    });
    const at = async (lines: string): Promise<string> => {
      const config = join(scratch(), 'fabric.toml');
      writeFileSync(config, `[console]\n${lines}`);
      const view = await fabric.json<{ address: string }>('console', 'invite', '--config', config, ...data);
      return view.address.split('#')[0]!;
    };
    expect(await at('origin = "https://fabric.example:8480"')).toBe('https://fabric.example:8480/');
    expect(await at('listen = "127.0.0.1:9000"')).toBe('http://localhost:9000/');
    expect(await at('listen = "192.0.2.7:9000"\ncertificate = "/c.pem"\nkey = "/c.key"')).toBe(
      'https://192.0.2.7:9000/',
    );
    expect(await fabric.refusal('console', 'invite', '--hours', '169', ...data)).toMatchObject({
      code: 'fabric.bad-input',
    });
  });
});
