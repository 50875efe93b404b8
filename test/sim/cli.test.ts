import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { main } from './cli.ts';
import { SCENARIOS } from './setup.ts';

let folder: string;
const limit = Error.stackTraceLimit;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'enf-sim-'));
});
afterEach(() => {
  rmSync(folder, { recursive: true });
  vi.restoreAllMocks();
  Error.stackTraceLimit = limit;
});

/** Runs the program with these arguments. */
function run(...argv: string[]): { code: number; out: string; err: string } {
  const written = { out: '', err: '' };
  const keep = (where: 'out' | 'err') => (text: unknown) => {
    written[where] += String(text);
    return true;
  };
  vi.spyOn(process.stdout, 'write').mockImplementation(keep('out'));
  vi.spyOn(process.stderr, 'write').mockImplementation(keep('err'));
  const code = main(argv);
  vi.restoreAllMocks();
  return { code, ...written };
}

test('the help names every scenario and has examples', () => {
  const { code, out } = run('--help');
  expect(code).toBe(0);
  for (const { name, about } of SCENARIOS) expect(out).toContain(`  ${name.padEnd(10)}  ${about}`);
  expect(out).toMatch(/Examples:\n {2}npm run sim\n/);
});

test('a table is printed, and the figures and the chart are written', () => {
  const [json, svg] = [join(folder, 'herd.json'), join(folder, 'herd.svg')];
  const { code, out, err } = run(
    '--agents',
    '200',
    '--pause',
    '60',
    '--pause',
    '90',
    '--json',
    json,
    '--svg',
    svg,
  );
  expect([code, err]).toEqual([0, '']);
  expect(out).toMatch(/^scenario .*\noutage +90 s .*\noutage +60 s /);
  expect(out).toContain('pause ≤: the longest pause');
  const figures = JSON.parse(readFileSync(json, 'utf8'));
  expect(figures).toHaveLength(2);
  expect(figures[1]).toMatchObject({
    scenario: 'outage',
    agents: 200,
    longestPause: 60,
    isTold: false,
  });
  expect(readFileSync(svg, 'utf8')).toMatch(/^<svg [\s\S]*<\/svg>\n$/);
});

test('figures are printed instead of the table, one chart for each scenario', () => {
  const svg = join(folder, 'herd.svg');
  const { code, out } = run(
    ...[
      '--agents',
      '100',
      '--pause',
      '60',
      '--scenario',
      'small',
      '--scenario',
      'short',
      '--scenario',
      'small',
    ],
    ...['--json', '-', '--svg', svg],
  );
  expect(code).toBe(0);
  const names = JSON.parse(out).map(
    ({ scenario, variant }: Record<string, string>) => `${scenario} ${variant}`,
  );
  expect(names).toEqual([
    'small ',
    'short ',
    'short told',
    'short told, all the same',
    'short told, estimated',
    'short told at a tenth of the cost',
  ]);
  expect(readdirSync(folder).sort()).toEqual(['herd-short.svg', 'herd-small.svg']);
});

test('the same seed gives the same figures', () => {
  const once = (seed: string) =>
    run('--agents', '200', '--pause', '60', '--json', '-', '--seed', seed, '--nodes', '2', '--rate', '50')
      .out;
  expect(once('7')).toBe(once('7'));
  expect(once('7')).not.toBe(once('8').replace('"seed": 8', '"seed": 7'));
});

test.each([
  [['--scenario', 'outge'], 'expected one of outage, silent, ', 'Did you mean "outage"?'],
  [['--pause', '0'], '--pause: expected whole seconds from 1 to 3600, got "0"', 'Give seconds'],
  [['--agents', '9'], '--agents: expected a whole number from 10 to 2000000, got "9"', 'Give a number'],
  [['--agents', '3000000'], 'got "3000000"', 'Give a number'],
  [['--scenario', 'hosts', '--nodes', '1'], 'at least 2 for the scenario hosts, got 1', 'Give more nodes'],
  [['--sed', '1'], "Unknown option '--sed'", 'Did you mean "--seed"?'],
  [['--json', '/nowhere/at/all.json'], '--json: cannot write /nowhere/at/all.json', 'a folder that exists'],
  [['--svg', '/nowhere/at/all.svg'], '--svg: cannot write /nowhere/at/all.svg', 'a folder that exists'],
])('%j is refused before anything is simulated', (argv, message, action) => {
  const { code, out, err } = run(...argv);
  expect([code, out]).toEqual([1, '']);
  expect(err).toContain(message);
  expect(err).toContain(action);
});
