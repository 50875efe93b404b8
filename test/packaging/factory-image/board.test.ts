import { chmodSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeEach, describe, expect, test } from 'vitest';
import { folder, ROOT, run } from '../place.ts';

const SCRIPT = join(ROOT, 'packaging/factory-image/root/usr/lib/enf-board/board');
const STATION = 'https://192.0.2.1:8443';
const HEX = 'ab'.repeat(32);
const DEVICE = `{\n  "name": "March",\n  "member": "${'1f'.repeat(32)}",\n  "serial": "GW-1"\n}\n`;

let root: string;
beforeEach(() => {
  root = folder();
  for (const path of ['bin', 'dev/disk/by-label', 'proc', 'sys/class/tty/console', 'run/enf-board/stick'])
    mkdirSync(join(root, path), { recursive: true });
  writeFileSync(join(root, 'dev/tpmrm0'), '');
  writeFileSync(join(root, 'sys/class/tty/console/active'), 'tty0 ttyS0\n');
  for (const console of ['tty0', 'ttyS0']) writeFileSync(join(root, 'dev', console), '');
  for (const name of ['mount', 'umount', 'sleep', 'systemctl']) stub(name, 'exit 0');
  answers('cat >/dev/null <<X\nX\nprintf %s "$DEVICE"');
});

/** A command that notes how it was called. */
function stub(name: string, body: string): void {
  const path = join(root, 'bin', name);
  writeFileSync(
    path,
    `#!/bin/sh\nfor word; do printf '%s\\n' "$word"; done >"${root}/${name}.words"\necho "$*" >>"${root}/${name}.calls"\n${body}\n`,
  );
  chmodSync(path, 0o755);
}
/** What enf-factory does. */
const answers = (body: string): void => stub('enf-factory', body);
const refuses = (code: string): void =>
  answers(
    `echo 'info: the station knows this board' >&2\necho '{"error":{"code":"${code}","remedy":"operator","message":"it is \\"so\\"","action":"Do it."}}' >&2\nexit 1`,
  );
const onStick = (name: string, text: string): void => {
  writeFileSync(join(root, 'dev/disk/by-label/ENF-FACTORY'), '');
  writeFileSync(join(root, 'run/enf-board/stick', name), text);
};
const board = (words = ''): string => {
  writeFileSync(join(root, 'proc/cmdline'), `quiet ${words} console=ttyS0\n`);
  const env = { ENF_ROOT: root, PATH: `${join(root, 'bin')}:${process.env.PATH}`, DEVICE };
  const { code, output } = run('sh', [SCRIPT], { env });
  expect(code).toBe(0);
  return output;
};
const calls = (name: string): string =>
  existsSync(join(root, `${name}.calls`)) ? readFileSync(join(root, `${name}.calls`), 'utf8') : '';
const words = (): string[] => readFileSync(join(root, 'enf-factory.words'), 'utf8').trimEnd().split('\n');
const option = (name: string): string | undefined => {
  const all = words();
  const at = all.indexOf(`--${name}`);
  return at < 0 ? undefined : all[at + 1];
};
const own = (name: string): string => readFileSync(join(root, 'run/enf-board', name), 'utf8');

const NETWORK = `enf.station=${STATION} enf.fingerprint=${HEX} enf.token=TOKEN-1`;

describe('a board in the factory', () => {
  test('from the kernel’s command line: PASS on each console, and it switches itself off', () => {
    const output = board(NETWORK);
    expect(words().slice(0, 2)).toEqual(['device', 'personalise']);
    expect([option('station'), option('station-fingerprint'), option('map')]).toEqual([STATION, HEX, 'auto']);
    expect(words()).toContain('--machine-serial');
    expect(own('token')).toBe('TOKEN-1');
    expect(output).toContain(
      `PASS: this board is a device of its batch: ${'1f'.repeat(8)}, serial number GW-1`,
    );
    for (const console of ['tty0', 'ttyS0']) {
      const shown = readFileSync(join(root, 'dev', console), 'utf8');
      expect(shown).toContain('PASS: this board');
    }
    expect(output).not.toContain('TOKEN-1');
    expect(calls('systemctl')).toBe('poweroff\n');
    expect(calls('mount')).toBe('');
  });

  test('from a stick, whose lines end as on Windows; it waits if that is wanted', () => {
    onStick(
      'station.conf',
      `# line 2\r\nstation=${STATION}\r\nserial=B 17; id\r\nafter=wait\r\nmap=owner\r\n`,
    );
    onStick('station.pem', 'a certificate');
    onStick('token', 'TOKEN-2\n');
    onStick('hierarchy-auth', 'secret');
    expect(board()).toContain('PASS');
    expect([option('station'), option('serial'), option('map')]).toEqual([STATION, 'B 17; id', 'owner']);
    for (const [name, file, text] of [
      ['station-certificate', 'station.pem', 'a certificate'],
      ['token-file', 'token', 'TOKEN-2\n'],
      ['hierarchy-auth-file', 'hierarchy-auth', 'secret'],
    ] as const) {
      expect(option(name)).toBe(join(root, 'run/enf-board', file));
      expect(own(file)).toBe(text);
    }
    expect(calls('mount')).toContain('ro,nosuid,nodev,noexec');
    expect([calls('umount').length > 0, calls('systemctl')]).toEqual([true, '']);
  });

  test('the command line counts more than the stick', () => {
    onStick('station.conf', 'station=https://192.0.2.9:1\nserial=none\n');
    onStick('token', 'TOKEN-2');
    board(NETWORK);
    expect([option('station'), own('token')]).toEqual([STATION, 'TOKEN-1']);
    expect(words()).not.toContain('--machine-serial');
    expect(option('serial')).toBeUndefined();
  });

  test('what fails is said large, with the reason and what to do, and the board stays on', () => {
    refuses('net.wrong-certificate');
    const output = board(NETWORK);
    expect(output).toContain('FAIL: it is "so" [net.wrong-certificate]\n  → Do it.\n');
    expect(output).toContain('#####   ###   ###  #');
    expect(output).not.toContain('PASS');
    expect([calls('systemctl'), calls('enf-factory').split('\n').length - 1]).toEqual(['', 1]);
  });

  test('a station that does not answer is asked again, not for ever', () => {
    answers(`[ "$(wc -l <"${root}/enf-factory.calls")" -ge 5 ] && { printf %s "$DEVICE"; exit 0; }
      echo '{"error":{"code":"net.unreachable","message":"nobody"}}' >&2; exit 1`);
    const output = board(NETWORK);
    expect(output.match(/No answer yet: nobody/g)).toHaveLength(1);
    expect(output).toContain('PASS');
    expect(calls('enf-factory').trim().split('\n')).toHaveLength(5);
  });

  test('without a station, a token or a TPM it says so', () => {
    expect(board()).toContain('FAIL: this board was told of no station');
    expect(board(`enf.station=${STATION}`)).toContain('FAIL: this board was given no token');
    expect(existsSync(join(root, 'enf-factory.calls'))).toBe(false);
    run('rm', [join(root, 'dev/tpmrm0')]);
    expect(board(NETWORK)).toContain('FAIL: the kernel finds no TPM 2.0');
  });
});

describe('npm run factory-image', () => {
  const make = (...args: string[]) => run('bash', [join(ROOT, 'packaging/factory-image/make.sh'), ...args]);

  test.each([
    [2, ['--arch', 'mips'], 'factory-image: --arch takes amd64 or arm64'],
    [2, ['--arch'], 'factory-image: --arch needs a value'],
    [2, ['--bundle'], 'factory-image: unknown argument: --bundle'],
    [1, ['--config', '/nowhere'], 'factory-image: no such folder: /nowhere'],
  ])('exit %i of %o', (code, args, message) => {
    const outcome = make(...args);
    expect([outcome.code, outcome.output.split('\n')[0]]).toEqual([code, message]);
  });

  test('its help names every option that it knows', () => {
    const { code, output } = make('--help');
    expect(code).toBe(0);
    for (const option of ['--arch', '--config', '--include', '--overlay', '--out', '--install-tools'])
      expect(output).toContain(option);
  });
});
