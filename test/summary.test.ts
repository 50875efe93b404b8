import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';

interface FileReport {
  name: string;
  status: string;
  message: string;
  assertionResults: { status: string; fullName: string; failureMessages: string[] }[];
}

const ok = (fullName: string) => ({ status: 'passed', fullName, failureMessages: [] });
const bad = (fullName: string) => ({
  status: 'failed',
  fullName,
  failureMessages: ['Error: 1 is not 2\n  at x'],
});
const report = (name: string, ...assertionResults: FileReport['assertionResults']): FileReport => {
  const status = assertionResults.every((each) => each.status === 'passed') ? 'passed' : 'failed';
  return { name: join(process.cwd(), 'test', name), status, message: '', assertionResults };
};

function summary(first: FileReport[], again: FileReport[] | undefined, ...command: string[]) {
  const folder = mkdtempSync(join(tmpdir(), 'enf-summary-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const path = join(folder, 'results.json');
  writeFileSync(path, JSON.stringify({ testResults: first }));
  if (again) writeFileSync(join(folder, 'results-again.json'), JSON.stringify({ testResults: again }));
  const { stdout, status } = spawnSync(process.execPath, ['test/summary.mjs', ...command, path], {
    encoding: 'utf8',
  });
  return { lines: stdout.trim().split('\n'), status };
}

test('counts what passed, and names what failed and in which file', () => {
  const files = [report('a', ok('one'), ok('two')), report('b', ok('three'), bad('four'))];
  expect(summary([files[0]!], undefined, 'closing', '')).toEqual({
    lines: ['2 passed, 0 failed'],
    status: 0,
  });
  expect(summary(files, undefined, 'closing', ',tests')).toEqual({
    lines: ['failed: test/b > four: Error: 1 is not 2', 'failed step: tests', '3 passed, 1 failed'],
    status: 1,
  });
  expect(summary(files, undefined, 'failed-files').lines).toEqual(['test/b']);
});

test('a hook that failed, and a failure outside the tests, are failures', () => {
  const hook = { ...report('c', { ...ok('five'), status: 'skipped' }), message: 'Error: no fabric' };
  expect(summary([hook], undefined, 'closing', '')).toEqual({
    lines: ['failed: test/c: Error: no fabric', '0 passed, 1 failed'],
    status: 1,
  });
  expect(summary([report('a', ok('one'))], undefined, 'closing', ',types and style')).toEqual({
    lines: ['failed step: types and style', '1 passed, 1 failed'],
    status: 1,
  });
});

test('a second attempt counts, is named, and may fail', () => {
  const first = [report('a', ok('one')), report('b', ok('three'), bad('four'))];
  expect(summary(first, [report('b', ok('three'), ok('four'))], 'closing', '')).toEqual({
    lines: ['passed only at the second attempt: test/b > four: Error: 1 is not 2', '3 passed, 0 failed'],
    status: 0,
  });
  expect(summary(first, [report('b', bad('three'), ok('four'))], 'closing', '').status).toBe(1);
});
