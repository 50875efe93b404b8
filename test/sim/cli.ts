import { writeFileSync } from 'node:fs';
import { nearest, report as reportError } from '../../cli/program.ts';
import {
  badOption,
  describeOptions,
  ensureWritable,
  type Option,
  readArguments,
} from '../bench/arguments.ts';
import { chart } from './chart.ts';
import { type Figures, figuresOf } from './figures.ts';
import { LEGEND, remark, report } from './report.ts';
import { casesOf, NODES, PER_SECOND, SCENARIOS, type Scenario } from './setup.ts';
import { type Run, simulate } from './simulate.ts';

/**
 * `npm run sim`: how a fleet comes back after an outage. Agents live by the lifecycle of the real agent; routers and identity servers have the limits of
 * the real ones, and processors that are assumed.
 */

const OPTIONS: readonly Option[] = [
  { name: 'agents', value: 'N', help: 'how many, 10 to 2,000,000 (default 1000000)' },
  { name: 'nodes', value: 'N', help: `1 to 100 (default ${NODES})` },
  {
    name: 'rate',
    value: 'N',
    help: `connections that a node takes in a second, 1 to 100,000 (default ${PER_SECOND})`,
  },
  { name: 'scenario', value: 'NAME', help: 'one of those below, or "all" (default outage)', many: true },
  {
    name: 'pause',
    value: 'SECONDS',
    help: 'the longest pause between two attempts, 1 to 3600; several are compared',
    many: true,
  },
  { name: 'seed', value: 'N', help: 'of the numbers of chance (default 1)' },
  {
    name: 'svg',
    value: 'FILE',
    help: 'write a chart; of several scenarios, the name of each goes before the ending',
  },
  { name: 'json', value: 'FILE', help: 'write the figures to a file; "-": print them instead of the table' },
  { name: 'help', help: 'this' },
];

const HELP = `npm run sim -- [options]

How a fleet of agents comes back after an outage: a discrete-event simulation of ten nodes, each of which takes 1,000 connections in a second, and of
agents that back off as the real ones do. Half a minute or one, and 200 MB, for a million agents and one longest pause. Nodes that all do the same can be looked at one by one: a tenth of the
agents and --nodes 1 give the same table in a tenth of the time.

${describeOptions(OPTIONS)}

Scenarios:
${SCENARIOS.map(({ name, about }) => `  ${name.padEnd(10)}  ${about}`).join('\n')}

${LEGEND}

Examples:
  npm run sim
  npm run sim -- --scenario short --agents 100000 --nodes 1 --pause 60 --pause 300
  npm run sim -- --scenario all --json figures.json --svg herd.svg
`;

/** @throws Failure `bench.bad-option` */
function scenariosOf(names: readonly string[]): readonly Scenario[] {
  if (names.includes('all')) return SCENARIOS;
  const known = SCENARIOS.map(({ name }) => name);
  return (names.length === 0 ? ['outage'] : [...new Set(names)]).map((name) => {
    const found = SCENARIOS.find((each) => each.name === name);
    if (found !== undefined) return found;
    const near = nearest(name, known);
    throw badOption(
      `--scenario: expected one of ${known.join(', ')}, all, got ${JSON.stringify(name)}`,
      near === undefined ? 'See --help.' : `Did you mean "${near}"?`,
    );
  });
}

/** @throws Failure `bench.bad-option` */
function ensureSeveral(scenarios: readonly Scenario[], nodes: number): void {
  const needing = scenarios.find(({ several }) => several);
  if (nodes > 1 || needing === undefined) return;
  throw badOption(
    `--nodes: expected at least 2 for the scenario ${needing.name}, got ${nodes}`,
    'Give more nodes, or another scenario.',
  );
}

/** @throws Failure `bench.bad-option` */
function pausesOf(texts: readonly string[]): readonly number[] | undefined {
  if (texts.length === 0) return undefined;
  return texts.map((text) => {
    const seconds = /^\d{1,4}$/.test(text) ? Number(text) : 0;
    if (seconds >= 1 && seconds <= 3_600) return seconds;
    throw badOption(
      `--pause: expected whole seconds from 1 to 3600, got ${JSON.stringify(text)}`,
      'Give seconds, e.g. --pause 300.',
    );
  });
}

/** The line that says how far it is; on a terminal each takes the place of the one before. */
function progress(): { say(line: string): void; end(): void } {
  const { stderr } = process;
  if (!stderr.isTTY) return { say: () => {}, end: () => {} };
  return {
    say: (line) => void stderr.write(`\r\x1b[K${line}`),
    end: () => void stderr.write('\r\x1b[K'),
  };
}

/** The file of a scenario's chart. */
export const chartFile = (file: string, scenario: string, alone: boolean): string =>
  alone ? file : file.replace(/(\.[^./]*)?$/, (ending) => `-${scenario}${ending}`);

export function main(argv: readonly string[]): number {
  try {
    const given = readArguments(OPTIONS, argv);
    if (given.flag('help')) {
      process.stdout.write(HELP);
      return 0;
    }
    const scenarios = scenariosOf(given.values('scenario'));
    const pauses = pausesOf(given.values('pause'));
    const agents = given.whole('agents', 10, 2_000_000, 1_000_000);
    const nodes = given.whole('nodes', 1, 100, NODES);
    const perSecond = given.whole('rate', 1, 100_000, PER_SECOND);
    ensureSeveral(scenarios, nodes);
    const seed = given.whole('seed', 0, 999_999_999, 1);
    const json = given.value('json');
    const svg = given.value('svg');
    if (json !== '-') ensureWritable(json);
    const charts = new Map(
      scenarios.map(({ name }) => [name, svg && chartFile(svg, name, scenarios.length === 1)]),
    );
    for (const file of charts.values()) ensureWritable(file, 'svg');
    // A failure of each verdict would note where it was made.
    Error.stackTraceLimit = 0;
    const all: Figures[] = [];
    for (const scenario of scenarios) {
      const runs: { readonly figures: Figures; readonly run: Run }[] = [];
      for (const each of casesOf(scenario, { agents, nodes, perSecond, seed, ...(pauses && { pauses }) })) {
        const name = [each.scenario, each.variant, `${each.longestPause} s`]
          .filter((part) => part !== '')
          .join(', ');
        const line = progress();
        const run = simulate(each.setup, {
          onSecond: (second, online) => {
            if (second % 10 === 0)
              line.say(`${name}: second ${second}, ${online.toLocaleString('en-US')} online`);
          },
        });
        line.end();
        runs.push({ figures: figuresOf(each, run), run });
      }
      all.push(...runs.map(({ figures }) => figures));
      const file = charts.get(scenario.name);
      if (file !== undefined) writeFileSync(file, chart(scenario, runs));
    }
    const text = `${JSON.stringify(all, null, 2)}\n`;
    if (json === '-') process.stdout.write(text);
    else {
      const remarks = all.map(remark).filter((each) => each !== '');
      process.stdout.write(`${[report(all), ...remarks, '', LEGEND].join('\n')}\n`);
      if (json !== undefined) writeFileSync(json, text);
    }
    return 0;
  } catch (error) {
    return reportError('sim', error);
  }
}
