import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { bundle } from '../../bundle.ts';

const folder = mkdtempSync(join(tmpdir(), 'enf-output-'));
const child = join(folder, 'child.mjs');
beforeAll(() => bundle(new URL('./output-child.ts', import.meta.url), child));
afterAll(() => rmSync(folder, { recursive: true }));

/** Runs `node child.mjs` with its output where the shell words say; the shell's last line is the exit code. */
function run(words: string): { code: string; stderr: string } {
  const script = `"$0" "$1" ${words}; code=\${PIPESTATUS[0]}; echo "exit $code" >&2`;
  const { stderr } = spawnSync('bash', ['-c', script, process.execPath, child], { encoding: 'utf8' });
  const lines = stderr.trimEnd().split('\n');
  return { code: lines.pop()!, stderr: lines.join('\n') };
}

test('output that is read ends with the exit code of the program', () => {
  expect(run('| cat >/dev/null')).toEqual({ code: 'exit 3', stderr: '' });
  expect(run('>/dev/null')).toEqual({ code: 'exit 3', stderr: '' });
});

test('a reader that has gone ends it quietly', () => {
  expect(run('| head -c 1 >/dev/null')).toEqual({ code: 'exit 0', stderr: '' });
});

test('a full disk is an error, in one line', () => {
  const { code, stderr } = run('>/dev/full');
  expect(code).toBe('exit 1');
  expect(stderr).toMatch(/^child: the output cannot be written: .*ENOSPC.*$/);
});
