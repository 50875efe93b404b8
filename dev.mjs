// Watches the sources and checks each change: `npm run dev [-- --all]` (Ctrl-C ends it).
//   TypeScript   types, style of the changed files, the unit tests that import them
//   C            the addon is built again, then the tests of its folder in test/native
// Begins with what differs from the last commit. `--all` runs every test that imports a changed file, also those that need
// root, the addon and Debian's packages (`setup.sh` installs them); C needs those in any case.
import { execFileSync, spawn } from 'node:child_process';
import { existsSync, watch } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(fileURLToPath(import.meta.url));
const UNIT = ['--config', 'vitest.unit.config.mjs'];
const QUIET_MS = 150;
const IGNORED = /^(node_modules|dist|coverage|\.git|\.cache|test\/vectors)(\/|$)/;
const all = process.argv.includes('--all');
const SOURCE = /\.(ts|mjs|c|h|json)$/;

const pending = new Set(changedSinceCommit());
let timer;
let running = false;

watch(root, { recursive: true }, (_, name) => {
  if (name === null || IGNORED.test(name) || !SOURCE.test(name)) return;
  pending.add(name);
  schedule();
});
say('watching; Ctrl-C ends it');
schedule();

function schedule() {
  clearTimeout(timer);
  timer = setTimeout(check, QUIET_MS);
}

async function check() {
  if (running || pending.size === 0) return;
  running = true;
  const files = [...pending].filter((file) => existsSync(join(root, file))).sort();
  pending.clear();
  const started = Date.now();
  say(`${files.length} changed: ${files.slice(0, 5).join(' ')}${files.length > 5 ? ' …' : ''}`);
  const failed = [];
  for (const [what, args] of stepsFor(files)) {
    if ((await run(args)) !== 0) failed.push(what);
  }
  const seconds = ((Date.now() - started) / 1_000).toFixed(1);
  say(
    failed.length === 0 ? `ok (${seconds} s)` : `failed: ${failed.join(', ')} (${seconds} s)`,
    failed.length > 0,
  );
  running = false;
  if (pending.size > 0) schedule();
}

/** What to run for these files, in this order. */
function stepsFor(files) {
  const typescript = files.filter((file) => file.endsWith('.ts'));
  const styled = files.filter((file) => /\.(ts|mjs|json)$/.test(file) && file !== 'package-lock.json');
  const native = files.filter((file) => /\.(c|h)$/.test(file));
  const steps = [];
  if (native.some((file) => file.startsWith('native/')))
    steps.push(['addon', ['node', 'build.mjs', 'native']]);
  if (typescript.length > 0) steps.push(['types', ['node_modules/.bin/tsc', '-p', 'tsconfig.json']]);
  if (styled.length > 0) steps.push(['style', ['node_modules/.bin/biome', 'check', ...styled]]);
  if (native.length > 0) steps.push(['tests', vitest('run', ...new Set(native.map(nativeTests)))]);
  if (typescript.length > 0)
    steps.push(['tests', vitest('related', '--run', ...(all ? [] : UNIT), ...typescript)]);
  return steps;
}

/** The folder with the tests of a C file: native/tpm/provider/sign.c has them in test/native/tpm. */
function nativeTests(file) {
  const folder = join('test/native', file.replace(/^(test\/)?native\//, '').split('/')[0]);
  return existsSync(join(root, folder)) ? folder : 'test/native';
}

function vitest(...args) {
  return ['node_modules/.bin/vitest', ...args, '--passWithNoTests', '--reporter=dot'];
}

function run([command, ...args]) {
  return new Promise((resolve) => {
    const child = spawn(command, args, { cwd: root, stdio: ['ignore', 'inherit', 'inherit'] });
    child.on('error', () => resolve(1));
    child.on('exit', (code) => resolve(code ?? 1));
  });
}

function changedSinceCommit() {
  const git = (...args) => execFileSync('git', args, { cwd: root, encoding: 'utf8' }).split('\n');
  return [...git('diff', '--name-only', 'HEAD'), ...git('ls-files', '--others', '--exclude-standard')].filter(
    (file) => SOURCE.test(file) && !IGNORED.test(file),
  );
}

function say(text, bad = false) {
  process.stdout.write(`\x1b[1;${bad ? 31 : 32}m==> ${text}\x1b[0m\n`);
}
