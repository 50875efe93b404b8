/** X25519 in lanes gives what OpenSSL gives, and takes the same way for all secrets: valgrind's memcheck says so of the instructions in plain C. */
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { runParts } from '../parts.ts';

const native = fileURLToPath(new URL('../../../native', import.meta.url));
const source = fileURLToPath(new URL('./x25519_lanes_parts.c', import.meta.url));
const instructions = fileURLToPath(new URL('../ecdaa/constant_time/lanes', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'enf-x25519-'));
const program = join(folder, 'emulated');
const LIBRARY = '-l:libcrypto.so.3';
const PARTS = ['crypto/x25519_lanes'];
/** Valgrind and AddressSanitizer do not go together: in the sanitizer's run these programs go without it. */
const env = { ...process.env, LD_PRELOAD: '' };

beforeAll(() => {
  const flags = '-std=gnu11 -O2 -g -D_GNU_SOURCE -DEMULATED -Wno-deprecated-declarations'.split(' ');
  const include = join(process.execPath, '../../include/node');
  const paths = [`-I${instructions}`, '-iquote', native, `-I${include}`];
  const sources = [source, join(native, 'crypto', 'x25519_lanes.c')];
  execFileSync('gcc', [...flags, ...paths, ...sources, LIBRARY, '-o', program], { env });
}, 60_000);
afterAll(() => rmSync(folder, { recursive: true }));

function memcheck(word: string): { status: number | null; said: string } {
  const run = spawnSync('valgrind', ['-q', '--error-exitcode=9', program, word], { encoding: 'utf8', env });
  if (run.error) throw run.error;
  return { status: run.status, said: run.stdout + run.stderr };
}

it('is that of OpenSSL, in plain C', () => {
  expect(execFileSync(program, { env, encoding: 'utf8' })).toBe('done\n');
});

it('is that of OpenSSL with the instructions, where the processor has them', async () => {
  const { stdout, stderr } = await runParts('crypto/x25519_lanes_parts', PARTS, '', [LIBRARY]);
  expect(stderr).toBe('');
  expect(['done\n', 'no lanes\n']).toContain(stdout);
});

it('computes with nothing undefined', async () => {
  const more = ['-DEMULATED', `-I${instructions}`, LIBRARY];
  const done = await runParts('crypto/x25519_lanes_parts', PARTS, 'address,undefined', more);
  expect(done).toEqual({ code: 0, signal: null, stdout: 'done\n', stderr: '' });
});

it('takes the same way for all secrets', () => {
  expect(memcheck('secret')).toEqual({ status: 0, said: 'done\n' });
});

it('a branch on a secret is found', () => {
  const { status, said } = memcheck('leaky');
  expect(status).toBe(9);
  expect(said).toContain('Conditional jump or move depends on uninitialised value');
});
