import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { filesOf, LAYERS, ROOT } from './structure.ts';

/** A failure that crossed a process boundary is put together again from what came. */
const REBUILT = new Set(['protocol/failure-message.ts']);

/** Every `new Failure('code', 'remedy'` in the sources, code → remedies. */
function thrown(): Map<string, Set<string>> {
  const found = new Map<string, Set<string>>();
  for (const folder of Object.keys(LAYERS)) {
    for (const file of filesOf(folder)) {
      const text = readFileSync(join(ROOT, file), 'utf8');
      for (const match of text.matchAll(/new Failure\(\s*'([^']+)',\s*'(retry|reprovision|operator)'/g)) {
        const remedies = found.get(match[1]!) ?? new Set();
        found.set(match[1]!, remedies.add(match[2]!));
      }
      const all = text.match(/new Failure\(/g)?.length ?? 0;
      const literal =
        text.match(/new Failure\(\s*'[a-z0-9-]+\.[a-z0-9-]+',\s*'(retry|reprovision|operator)'/g)?.length ??
        0;
      if (REBUILT.has(file)) continue;
      expect(`${file}: ${literal}`, 'code and remedy are literals').toBe(`${file}: ${all}`);
    }
  }
  return found;
}

/** Rows of docs/errors.md: | `code` | remedy | meaning | what to do | */
function documented(): Map<string, string> {
  const text = readFileSync(join(ROOT, 'docs/errors.md'), 'utf8');
  const rows = [...text.matchAll(/^\| `([^`]+)` \| ([a-z, ]+) \| (\S.*?) \| (\S.*?) \|$/gm)];
  return new Map(rows.map((row) => [row[1]!, row[2]!]));
}

test('every failure code is documented with its remedy, and nothing else is', () => {
  const code = Object.fromEntries(
    [...thrown()].map(([name, remedies]) => [name, [...remedies].sort().join(', ')]).sort(),
  );
  const docs = Object.fromEntries([...documented()].sort());
  expect(docs).toEqual(code);
});
