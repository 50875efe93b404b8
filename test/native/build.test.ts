/** native/build.sh keeps objects for the next build: what has changed is compiled, what is gone is not linked. */
import { execFileSync } from 'node:child_process';
import {
  appendFileSync,
  cpSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, expect, it } from 'vitest';

/** A compiler needs its time on a busy machine. */
const TIMEOUT_MS = 400_000;

const root = mkdtempSync(join(tmpdir(), 'enf-build-'));
afterAll(() => rmSync(root, { recursive: true }));
const native = join(root, 'native');
const out = join(root, 'dist/enf.node');
cpSync(fileURLToPath(new URL('../../native', import.meta.url)), native, { recursive: true });

function build(): Buffer {
  const env = { ...process.env, OUT: out, SANITIZE: '', ECDAA: '0', EXTRA_CFLAGS: '-O0' };
  execFileSync('bash', [join(native, 'build.sh')], { env, stdio: 'pipe' });
  return readFileSync(out);
}

it('builds what has changed, and nothing else', { timeout: TIMEOUT_MS }, () => {
  const first = build();

  // A header: every object that includes it is compiled again, and a failing compiler leaves the addon as it was.
  const header = join(native, 'addon/handle.h');
  const before = readFileSync(header);
  appendFileSync(header, '#error changed\n');
  expect(build).toThrow(/#error changed/);
  expect(readFileSync(out)).toEqual(first);
  expect(readdirSync(join(root, 'dist'))).toEqual(['enf.node']);
  writeFileSync(header, before);
  expect(build()).toEqual(first);

  // A new file is linked, and no longer when it is gone.
  const added = join(native, 'net/added.c');
  writeFileSync(added, 'const char added[] = "a file that was added";\n');
  expect(build().includes('a file that was added')).toBe(true);
  rmSync(added);
  expect(build()).toEqual(first);
});

it('the same sources give the same bytes without kept objects', { timeout: TIMEOUT_MS }, () => {
  const incremental = readFileSync(out);
  rmSync(join(root, '.cache'), { recursive: true });
  expect(build()).toEqual(incremental);
});
