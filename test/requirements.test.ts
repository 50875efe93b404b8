import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { cover, idsIn, readRequirements, describe as render, unknownIds } from './requirements.mjs';

const root = new URL('..', import.meta.url).pathname;
const requirements = readRequirements(readFileSync(join(root, 'docs/requirements.md'), 'utf8'));
const ids = requirements.map(({ id }) => id);

test('docs/requirements.md has every requirement once', () => {
  const field = ids.filter((id) => id.startsWith('C-'));
  expect(field).toEqual([...Array.from({ length: 41 }, (_, i) => `C-${i + 1}`), 'C-S']);
  const hostile = ids.filter((id) => id.startsWith('H-'));
  expect(hostile.length).toBeGreaterThan(0);
  expect(new Set(hostile).size).toBe(hostile.length);
  expect(ids).toEqual([...field, ...hostile]);
});

test('every requirement stands in the name of a test, or says why not; no test claims one that is none', () => {
  const named = new Set<string>();
  for (const name of readdirSync(join(root, 'test'), { recursive: true, encoding: 'utf8' })) {
    if (!/\.(ts|mjs|sh)$/.test(name) || /^requirements\./.test(name)) continue;
    const text = readFileSync(join(root, 'test', name), 'utf8');
    for (const line of text.split('\n'))
      if (/['"`].*\b(C-(\d+|S)|H-[A-F]\d*)\b/.test(line)) for (const id of idsIn(line)) named.add(id);
  }
  expect([...named].filter((id) => !ids.includes(id))).toEqual([]);
  const bare = requirements.filter(({ id, reason }) => !named.has(id) && reason === '').map(({ id }) => id);
  expect(bare).toEqual([]);
});

describe('coverage', () => {
  const asked = readRequirements(
    '| C-1 | boots | |\n| C-2 | hurries | a machine does that |\n| C-3 | is ready | |\n| C-4 | x | |\n| C-5 | y | |',
  );
  const report = (...tests: [name: string, status: string][]) => ({
    testResults: [
      { name: 'a.test.ts', assertionResults: tests.map(([fullName, status]) => ({ fullName, status })) },
    ],
  });
  const reports = [
    report(['[C-1] boots', 'passed'], ['nothing of C-12 here', 'passed'], ['C-3 C-4 is ready', 'passed']),
    report(['[C-1] once more', 'failed'], ['[C-5] later', 'skipped']),
  ];

  test('a failure counts more than a success; what did not run is not covered', () => {
    const rows = cover(asked, reports);
    expect(Object.fromEntries(rows.map(({ id, result }) => [id, result]))).toEqual({
      'C-1': 'failed',
      'C-2': 'no test needed',
      'C-3': 'passed',
      'C-4': 'passed',
      'C-5': 'not run',
    });
    expect(cover(asked, [report()])[0]!.result).toBe('uncovered');
    expect(unknownIds(asked, reports)).toEqual(['C-12']);
    const text = render(rows);
    for (const part of [
      'C-1   failed',
      '✗ [C-1] once more',
      '✓ [C-1] boots',
      'a machine does that',
      '2 passed, 1 failed',
    ]) {
      expect(text).toContain(part);
    }
  });
});
