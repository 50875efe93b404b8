// npm run requirements [-- --json]: which requirement is covered by which tests, and how they ended last.
// Reads docs/requirements.md and what vitest left in .cache/*results.json. Fails if a requirement has neither a test nor a
// reason why it needs none, or if a test of one failed.
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));

/** Rows of docs/requirements.md: | C-1 or H-A1 | what it asks | why no test; may be empty | */
export function readRequirements(markdown) {
  return [...markdown.matchAll(/^\| (C-(?:\d+|S)|H-[A-F]\d*) \| (.+?) \|(.*)\|$/gm)].map(
    ([, id, text, reason]) => ({
      id,
      text,
      reason: reason.trim(),
    }),
  );
}

/** The ids in a test's full name, such as "[C-22]". */
export const idsIn = (name) => [...new Set(name.match(/\b(?:C-(?:\d+|S)|H-[A-F]\d*)\b/g) ?? [])];

/** Each requirement with its tests; `reports` are vitest's JSON results. */
export function cover(requirements, reports) {
  const tests = reports.flatMap(({ testResults }) =>
    testResults.flatMap(({ name: file, assertionResults }) =>
      assertionResults.map(({ fullName, status }) => ({
        file,
        name: fullName,
        result: status,
        ids: idsIn(fullName),
      })),
    ),
  );
  return requirements.map(({ id, text, reason }) => {
    const own = tests.filter(({ ids }) => ids.includes(id)).map(({ ids: _, ...test }) => test);
    return { id, text, reason, result: resultOf(own, reason), tests: own };
  });
}

function resultOf(tests, reason) {
  if (tests.some(({ result }) => result === 'failed')) return 'failed';
  if (tests.some(({ result }) => result === 'passed')) return 'passed';
  if (tests.length > 0) return 'not run';
  return reason === '' ? 'uncovered' : 'no test needed';
}

/** Strangers: ids in test names that no requirement has. */
export function unknownIds(requirements, reports) {
  const known = new Set(requirements.map(({ id }) => id));
  const used = reports.flatMap(({ testResults }) =>
    testResults.flatMap(({ assertionResults }) =>
      assertionResults.flatMap(({ fullName }) => idsIn(fullName)),
    ),
  );
  return [...new Set(used)].filter((id) => !known.has(id));
}

export function describe(rows) {
  const lines = rows.flatMap(({ id, result, text, reason, tests }) => [
    `${id.padEnd(5)} ${result.padEnd(15)} ${text}`,
    ...(result === 'no test needed' ? [`${' '.repeat(22)}${reason}`] : []),
    ...tests.map(
      ({ name, result }) =>
        `${' '.repeat(22)}${result === 'passed' ? '✓' : result === 'failed' ? '✗' : '·'} ${name}`,
    ),
  ]);
  const count = (result) => rows.filter((row) => row.result === result).length;
  const kinds = ['passed', 'failed', 'not run', 'no test needed', 'uncovered'];
  return [...lines, '', kinds.map((kind) => `${count(kind)} ${kind}`).join(', ')].join('\n');
}

function readReports() {
  const cache = join(root, '.cache');
  const names = existsSync(cache) ? readdirSync(cache).filter((name) => /results\.json$/.test(name)) : [];
  return names.map((name) => {
    const report = JSON.parse(readFileSync(join(cache, name), 'utf8'));
    for (const each of report.testResults) each.name = each.name.replace(root, '');
    return report;
  });
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const reports = readReports();
  if (reports.length === 0) {
    console.error('requirements: no results in .cache\n  → Run "npm test" first.');
    process.exit(1);
  }
  const rows = cover(readRequirements(readFileSync(join(root, 'docs/requirements.md'), 'utf8')), reports);
  console.log(process.argv.includes('--json') ? JSON.stringify(rows, null, 2) : describe(rows));
  process.exit(rows.some(({ result }) => result === 'failed' || result === 'uncovered') ? 1 : 0);
}
