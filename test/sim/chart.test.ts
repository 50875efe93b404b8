import { expect, test } from 'vitest';
import { chart } from './chart.ts';
import { chartFile } from './cli.ts';
import { figuresOf } from './figures.ts';
import { remark, report } from './report.ts';
import { casesOf, SCENARIOS, type Scenario } from './setup.ts';
import { simulate } from './simulate.ts';

function runsOf(scenario: Scenario, agents = 300) {
  return casesOf(scenario, { agents, seed: 1 }).map((each) => {
    const run = simulate(each.setup);
    return { figures: figuresOf(each, run), run };
  });
}

const scenario = (name: string): Scenario => SCENARIOS.find((each) => each.name === name)!;

test('a chart has a line for each run in each panel, and no number that is none', () => {
  const runs = runsOf(scenario('outage'));
  const svg = chart(scenario('outage'), runs);
  expect(runs).toHaveLength(3);
  expect(svg.match(/<path /g)).toHaveLength(2 * 3);
  expect(svg).not.toMatch(/NaN|Infinity|undefined|null/);
  for (const { figures } of runs) expect(svg).toContain(`pauses up to ${figures.longestPause} s`);
  expect(svg).toContain('300 agents, 10 nodes');
  expect(svg).toContain('prefers-color-scheme: dark');
  // All that is drawn is inside.
  const height = Number(/viewBox="0 0 880 (\d+)"/.exec(svg)![1]);
  for (const [, x, y] of svg.matchAll(/[ML](-?[\d.]+) (-?[\d.]+)/g)) {
    expect(Number(x)).toBeGreaterThanOrEqual(72);
    expect(Number(x)).toBeLessThanOrEqual(860);
    expect(Number(y)).toBeGreaterThan(0);
    expect(Number(y)).toBeLessThan(height);
  }
});

test('of more runs than there are colours the rest is counted', () => {
  const one = { ...scenario('small'), pauses: [] };
  const [first] = runsOf(one, 20);
  const svg = (count: number): string =>
    chart(
      one,
      Array.from({ length: count }, () => first!),
    );
  expect(svg(6).match(/<path /g)).toHaveLength(12);
  expect(svg(6)).not.toContain('more in the table');
  expect(svg(8).match(/<path /g)).toHaveLength(12);
  expect(svg(8)).toContain('>2 more in the table<');
});

test('handshakes with identity servers have a panel of their own where there are any', () => {
  const small = { ...scenario('database'), variants: [] };
  const svg = chart(small, runsOf(small));
  expect(svg.match(/<path /g)).toHaveLength(3 * 2);
  expect(svg).toContain('handshakes with identity servers');
});

test('what a scenario is about is text, whatever is in it', () => {
  const odd = { ...scenario('small'), about: 'less < more & "so"' };
  expect(chart(odd, runsOf(odd, 20))).toContain('less &lt; more &amp; &quot;so&quot;');
});

test('the chart of each of several scenarios has a file of its own', () => {
  expect(chartFile('a/herd.svg', 'short', true)).toBe('a/herd.svg');
  expect(chartFile('a/herd.svg', 'short', false)).toBe('a/herd-short.svg');
  expect(chartFile('a.b/herd', 'short', false)).toBe('a.b/herd-short');
});

test('the table has a line for each run, and says what never came', () => {
  const [one] = runsOf({ ...scenario('outage'), pauses: [] });
  const figures = { ...one!.figures, back: { '50': 3, '90': 4, '99': null, '100': null }, cut: 1_234_567 };
  const [head, line] = report([figures, figures]).split('\n');
  expect(report([figures, figures]).split('\n')).toHaveLength(3);
  expect(head).toMatch(/^scenario +pause ≤ +peak\/s/);
  expect(line).toMatch(/^outage +300 s .* 1,234,567 .* 3 s +never +never/);
  expect(remark(figures)).toBe('');
  expect(remark({ ...figures, provisioned: 1_200, refused: 3, renewed: 7 })).toBe(
    'outage, 300 s: 1,200 handshakes with identity servers, 3 refused; 7 identities renewed',
  );
});
