import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { runParts } from '../parts.ts';

const native = fileURLToPath(new URL('../../../native', import.meta.url));
const source = fileURLToPath(new URL('./inverse_parts.c', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'enf-inverse-'));
const LIBRARY = '-l:libcrypto.so.3';
/** Valgrind and AddressSanitizer do not go together: in the sanitizer's run these programs go without it. */
const env = { ...process.env, LD_PRELOAD: '' };

/** As it is shipped, and as on processors without integers of 128 bits. */
const BUILDS = { wide: [], narrow: ['-U__SIZEOF_INT128__'] };

beforeAll(() => {
  const flags = '-std=gnu11 -O2 -g -D_GNU_SOURCE -Wno-deprecated-declarations'.split(' ');
  for (const [name, more] of Object.entries(BUILDS)) {
    const files = [source, join(native, 'crypto', 'inverse.c'), LIBRARY, '-o', join(folder, name)];
    execFileSync('gcc', [...flags, ...more, '-iquote', native, ...files], { env });
  }
}, 60_000);
afterAll(() => rmSync(folder, { recursive: true }));

function memcheck(build: string, word: string): { status: number | null; said: string } {
  const run = spawnSync('valgrind', ['-q', '--error-exitcode=9', join(folder, build), word], {
    encoding: 'utf8',
    env,
  });
  if (run.error) throw run.error;
  return { status: run.status, said: run.stdout + run.stderr };
}

it('is that of OpenSSL, also without integers of 128 bits', () => {
  for (const build of Object.keys(BUILDS))
    expect(execFileSync(join(folder, build), { env, encoding: 'utf8' })).toBe('done\n');
});

it('computes with nothing undefined', async () => {
  const done = await runParts('crypto/inverse_parts', ['crypto/inverse'], 'address,undefined', [LIBRARY]);
  expect(done).toEqual({ code: 0, signal: null, stdout: 'done\n', stderr: '' });
});

it('takes the same way for all nonces', () => {
  expect(memcheck('wide', 'secret')).toEqual({ status: 0, said: 'done\n' });
});

it('a branch on a nonce is found', () => {
  const { status, said } = memcheck('wide', 'leaky');
  expect(status).toBe(9);
  expect(said).toContain('Conditional jump or move depends on uninitialised value');
});
