import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ipv6Disabled } from '../../../os/linux/ipv6.ts';
import { bundle } from '../../bundle.ts';

/** A /proc that holds these files. */
const proc = (files: Record<string, string>) => async (path: string) => files[path];
const conf = (name: string) => `sys/net/ipv6/conf/${name}/disable_ipv6`;

describe('[C-15] why there is no IPv6', () => {
  test('ipv6.disable=1 on the kernel’s command line: no IPv6 files at all', async () => {
    const failure = await ipv6Disabled('enf0', proc({ cmdline: 'ro quiet ipv6.disable=1 panic=-1' }));
    expect(failure).toMatchObject({ code: 'os.ipv6-disabled', remedy: 'operator' });
    expect(failure?.message).toBe('this kernel runs without IPv6: ipv6.disable=1 is on its command line');
    expect(failure?.action).toBe('Remove ipv6.disable=1 from the kernel command line, and reboot.');
    expect(failure?.action).not.toContain('sysctl');
    // Nor has it routing rules: what names no interface finds the same.
    expect((await ipv6Disabled(undefined, proc({ cmdline: 'ipv6.disable=1' })))?.message).toBe(
      failure?.message,
    );
  });

  test('a kernel without IPv6 whose command line does not disable it', async () => {
    const failure = await ipv6Disabled('enf0', proc({ cmdline: 'quiet xipv6.disable=10' }));
    expect(failure?.message).toBe('this kernel runs without IPv6');
    expect(failure?.action).toMatch(/^Run "modprobe ipv6"/);
  });

  test('no failure if IPv6 is enabled, even with an empty list of addresses', async () => {
    const files = { 'net/if_inet6': '', [conf('default')]: '1', [conf('enf0')]: '0' };
    expect(await ipv6Disabled('enf0', proc(files))).toBeUndefined();
    expect(await ipv6Disabled('enf1', proc({ ...files, [conf('default')]: '0' }))).toBeUndefined();
    expect(await ipv6Disabled(undefined, proc(files))).toBeUndefined();
  });

  test('an interface that does not exist yet gets the value of conf/default', async () => {
    const failure = await ipv6Disabled('enf1', proc({ 'net/if_inet6': '', [conf('default')]: '1' }));
    expect(failure?.message).toBe('IPv6 is disabled for enf1: net.ipv6.conf.default.disable_ipv6 is 1');
  });
});

describe('[C-15] in a network namespace the agent and the doctor report the same, and the command that they name corrects it', () => {
  let folder: string;
  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'enf-ipv6-'));
    await bundle(new URL('./ipv6-child.ts', import.meta.url), join(folder, 'child.mjs'));
  });
  afterAll(() => rmSync(folder, { recursive: true }));

  for (const [what, switches, names] of [
    ['for all', ['all'], ['default', 'enf0']],
    ['for new interfaces', ['default', 'enf0'], ['default', 'enf0']],
    ['for the interface', ['enf0'], ['enf0']],
  ] as const) {
    test(`switched off ${what}`, () => {
      const set = switches.map((name) => `net.ipv6.conf.${name}.disable_ipv6=1`).join(' ');
      const command = `ip tuntap add enf0 mode tun && sysctl -qw ${set}`;
      const output = execFileSync(
        'unshare',
        ['--net', process.execPath, join(folder, 'child.mjs'), command],
        {
          encoding: 'utf8',
        },
      );
      const [before, after] = JSON.parse(output);
      expect(before.failure).toMatchObject({ code: 'os.ipv6-disabled', remedy: 'operator' });
      expect(before.doctor).toEqual(before.failure);
      const commands = names.map((name) => `net.ipv6.conf.${name}.disable_ipv6=0`).join(' ');
      expect(before.failure.action).toBe(
        `Run "sysctl -e -w ${commands}", and set the same in /etc/sysctl.d, so that it survives a reboot.`,
      );
      expect(after).toEqual({});
    });
  }

  test('other errors of ip are passed on unchanged', () => {
    const command = 'true';
    const output = execFileSync('unshare', ['--net', process.execPath, join(folder, 'child.mjs'), command], {
      encoding: 'utf8',
    });
    const [{ failure }] = JSON.parse(output);
    expect(failure.code).toBe('os.ip-failed');
  });
});
