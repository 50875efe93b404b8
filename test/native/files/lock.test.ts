import { closeSync, mkdtempSync, openSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { addon } from '../../../native/index.ts';
import { runChild } from '../child.ts';

const folder = mkdtempSync(join(tmpdir(), 'enf-lock-'));
afterAll(() => rmSync(folder, { recursive: true }));

/** What another program finds, which then ends by a signal. */
const LOOK = `const fd = require('node:fs').openSync(argv[0], 'r'); process.stdout.write(String(addon.fileLock(fd))); process.kill(process.pid, 'SIGKILL');`;

test('a lock is one opening’s, until that is closed or its program has ended', async () => {
  const { fileLock } = addon();
  const one = openSync(folder, 'r');
  const other = openSync(folder, 'r');
  expect([fileLock(one), fileLock(one), fileLock(other)]).toEqual([true, true, false]);
  expect(await runChild(LOOK, folder)).toMatchObject({ stdout: 'false' });
  closeSync(one);
  expect(await runChild(LOOK, folder)).toMatchObject({ stdout: 'true', signal: 'SIGKILL' });
  expect(fileLock(other)).toBe(true);
  closeSync(other);
});

test('what is no descriptor is refused', () => {
  const lock = addon().fileLock as (...args: unknown[]) => unknown;
  for (const args of [[], ['1'], [-1], [1.5], [2 ** 31], [{}]])
    expect(() => lock(...args)).toThrow(TypeError);
  expect(() => lock(99_999)).toThrow(expect.objectContaining({ code: 'EBADF' }));
});
