/** What computes with secrets neither branches on them nor uses them as addresses: valgrind's memcheck says so (constant_time/secrets.c). */
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, it } from 'vitest';

const native = fileURLToPath(new URL('../../../native', import.meta.url));
const source = fileURLToPath(new URL('./constant_time/secrets.c', import.meta.url));
const lanes = fileURLToPath(new URL('./constant_time/lanes', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'enf-ct-'));
const program = join(folder, 'secrets');
/** As a 32-bit processor computes. */
const narrow = join(folder, 'narrow');
/** Valgrind and AddressSanitizer do not go together: in the sanitizer's run these programs go without it. */
const env = { ...process.env, LD_PRELOAD: '' };

/** Computes with nothing secret, and its lanes have more instructions: as on a processor without. */
const PAIRING = 'fp256bn/lanes/pairing.c';

/** Compiles what computes with secrets. */
function compile(...words: string[]): void {
  const include = join(process.execPath, '../../include/node');
  const flags = '-std=gnu11 -O2 -g -D_GNU_SOURCE -DCT_CHECK -Wno-deprecated-declarations'.split(' ');
  execFileSync('gcc', [...flags, `-I${lanes}`, '-iquote', native, `-I${include}`, ...words], { env });
}

const parts = ['ecdaa', 'fp256bn', 'fp256bn/lanes'].flatMap((folder) =>
  readdirSync(join(native, folder))
    .filter((name) => name.endsWith('.c') && !/^(napi|host_arithmetic)\.c$/.test(name))
    .map((name) => `${folder}/${name}`),
);

beforeAll(() => {
  const pairing = join(folder, 'pairing.o');
  compile('-DFP256BN_PORTABLE', '-c', join(native, PAIRING), '-o', pairing);
  const files = parts.filter((name) => name !== PAIRING).map((name) => join(native, name));
  compile(source, ...files, pairing, '-l:libcrypto.so.3', '-o', program);
}, 120_000);
afterAll(() => rmSync(folder, { recursive: true }));

const memcheck = (...parameters: string[]) => check(program, parameters);

function check(program: string, parameters: string[]): { status: number | null; said: string } {
  const run = spawnSync('valgrind', ['-q', '--error-exitcode=9', program, ...parameters], {
    encoding: 'utf8',
    env,
  });
  if (run.error) throw run.error;
  return { status: run.status, said: run.stdout + run.stderr };
}

it('issuing and signing are constant time, with every arithmetic, and all make the same', () => {
  const said = 'portable: done\nadx: done\nlanes: done\n';
  expect(memcheck('adx', 'lanes')).toEqual({ status: 0, said });
});

it('so they are without 128-bit integers', () => {
  const files = parts.map((name) => join(native, name));
  compile('-DFP256BN_PORTABLE', '-DFP256BN_NARROW', source, ...files, '-l:libcrypto.so.3', '-o', narrow);
  expect(check(narrow, [])).toEqual({ status: 0, said: 'portable: done\n' });
});

it('a multiplication that branches on its scalar is found', () => {
  const { status, said } = memcheck('leaky');
  expect(status).toBe(9);
  expect(said).toContain('Conditional jump or move depends on uninitialised value');
});
