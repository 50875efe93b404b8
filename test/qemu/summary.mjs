// node test/qemu/summary.mjs RESULTS SEED: what the guests have shown, one line each, and "N passed, N failed" at the end.
import { existsSync, readFileSync } from 'node:fs';
import { basename } from 'node:path';

const [, , file, seed] = process.argv;
if (!existsSync(file)) {
  console.log('0 passed, 1 failed');
  process.exit(1);
}
const { testResults } = JSON.parse(readFileSync(file, 'utf8'));
let passed = 0;
let failed = 0;
/** Power cuts that were made, by what they were made to. */
const cuts = { whole: 0, replayed: 0 };
for (const { name, status, assertionResults } of testResults.sort((a, b) => a.startTime - b.startTime)) {
  console.log(`\n${basename(name, '.qemu.ts')}`);
  for (const { title, status, duration } of assertionResults) {
    const good = status === 'passed';
    if (good) passed++;
    else failed++;
    const count = Number(/(\d+) power cuts/.exec(title)?.[1] ?? 0);
    cuts[title.includes('replayed') ? 'replayed' : 'whole'] += status === 'skipped' ? 0 : count;
    const seconds = `${Math.round((duration ?? 0) / 1000)} s`.padStart(7);
    console.log(`  ${good ? 'ok    ' : 'FAILED'} ${seconds}  ${title}`);
  }
  if (status === 'failed' && assertionResults.every((each) => each.status === 'passed')) failed++;
}
console.log(
  `\n${cuts.whole} power cuts of a whole guest, ${cuts.replayed} replayed from what a guest wrote; --seed ${seed}`,
);
console.log(`${passed} passed, ${failed} failed`);
process.exit(failed > 0 || passed === 0 ? 1 : 0);
