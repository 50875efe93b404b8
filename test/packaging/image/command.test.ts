import { join } from 'node:path';
import { expect, test } from 'vitest';
import { ROOT, run } from '../place.ts';

const image = (...args: string[]) => run('bash', [join(ROOT, 'packaging/image/image.sh'), ...args]);

test.each([
  [2, ['--arch', 'mips'], 'image: --arch takes amd64 or arm64'],
  [2, ['--arch'], 'image: --arch needs a value'],
  [2, ['--disk'], 'image: unknown argument: --disk'],
  [2, ['--slot-size', '1G'], 'image: sizes are whole numbers of MiB'],
  [2, ['--version', '1 $(id)'], 'image: --version takes letters, digits and .+~-'],
  [2, ['--key', '/etc/hostname'], 'image: --key needs --cert'],
  [2, ['--bundle', '--cert', '/etc/hostname'], 'image: --bundle --cert needs --key'],
  [1, ['--key', '/nowhere', '--cert', '/nowhere'], 'image: cannot read /nowhere'],
  [1, ['--config', '/nowhere'], 'image: no such folder: /nowhere'],
])('[H-F1] exit %i of npm run image -- %o', (code, args, message) => {
  const outcome = image(...args);
  expect(outcome.output.split('\n')[0]).toBe(message);
  expect(outcome.code).toBe(code);
});

test('its help names every option that it knows', () => {
  const { code, output } = image('--help');
  expect(code).toBe(0);
  for (const option of [
    '--arch',
    '--bundle',
    '--key',
    '--cert',
    '--keyring',
    '--config',
    '--overlay',
    '--out',
  ])
    expect(output).toContain(option);
});
