/**
 * Reads the JSON reports of Vitest's runs and prints what failed, by name, and the closing line "N passed, N failed".
 *
 *     node test/summary.mjs failed-files REPORT       the files of a run in which something failed, a line each
 *     node test/summary.mjs closing STEPS REPORT...   STEPS: the names of the steps that failed, separated by commas
 *
 * A report `X-again.json` beside `X.json` holds the second attempt of the files that failed in X; its results count, and
 * the tests that needed it are named: one that fails now and then is a fault of the test or of the product.
 */
import { existsSync, readFileSync } from 'node:fs';
import { relative } from 'node:path';

const read = (path) => JSON.parse(readFileSync(path, 'utf8'));
const name = (file) => relative(process.cwd(), file.name);
/** Whether a file's run failed: a test, a hook before its tests, or the file itself. */
const failed = (file) => file.status === 'failed';
const firstLine = (message) => message.split('\n', 1)[0].slice(0, 200);

/** The failures of one file as lines; a hook that fails leaves tests that did not run, and a message of the file. */
function failures(file) {
  const tests = file.assertionResults.filter((each) => each.status === 'failed');
  if (tests.length > 0)
    return tests.map(
      (each) => `${name(file)} > ${each.fullName}: ${firstLine(each.failureMessages[0] ?? '')}`,
    );
  return [`${name(file)}: ${firstLine(file.message || 'a hook failed, or the process of the tests ended')}`];
}

function closing(steps, reports) {
  let passed = 0;
  const wrong = [];
  const unsteady = [];
  for (const path of reports.filter(existsSync)) {
    const again = path.replace(/\.json$/, '-again.json');
    const second = new Map(existsSync(again) ? read(again).testResults.map((file) => [file.name, file]) : []);
    for (const first of read(path).testResults) {
      const file = second.get(first.name) ?? first;
      passed += file.assertionResults.filter((each) => each.status === 'passed').length;
      if (failed(file)) wrong.push(...failures(file));
      else if (failed(first)) unsteady.push(...failures(first));
    }
  }
  for (const line of unsteady) console.log(`passed only at the second attempt: ${line}`);
  for (const line of wrong) console.log(`failed: ${line}`);
  const names = steps.split(',').filter((step) => step !== '');
  for (const step of names) console.log(`failed step: ${step}`);
  // A step whose tests have reports is counted by them.
  if (wrong.length === 0) wrong.push(...names);
  console.log(`${passed} passed, ${wrong.length} failed`);
  return wrong.length === 0 ? 0 : 1;
}

const [command, ...rest] = process.argv.slice(2);
if (command === 'failed-files') {
  if (existsSync(rest[0]))
    for (const file of read(rest[0]).testResults.filter(failed)) console.log(name(file));
} else if (command === 'closing') process.exitCode = closing(rest[0], rest.slice(1));
else throw new Error('node test/summary.mjs failed-files|closing …');
