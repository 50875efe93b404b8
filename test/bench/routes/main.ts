import { existsSync, writeFileSync } from 'node:fs';
import { loadavg } from 'node:os';
import { report as reportError } from '../../../cli/program.ts';
import { Failure } from '../../../protocol/failure.ts';
import { describeOptions, ensureWritable, type Option, readArguments } from '../arguments.ts';
import { median } from '../statistics.ts';
import { columns, figure } from '../table.ts';
import { probe, sink, writer } from './child.ts';
import { BIRD, FRR } from './daemons.ts';
import { type Figures, measure } from './measure.ts';

/** `npm run bench:routes`: how routes of tunnels come to other nodes, by BIRD and by FRR, each started fresh, in turns. */

const OPTIONS: readonly Option[] = [
  { name: 'rounds', value: 'N', help: 'how often each daemon is started and measured (default 3)' },
  { name: 'routes', value: 'N', help: 'how many routes are added at once (default 100000)' },
  { name: 'json', value: 'FILE', help: 'write the figures to a file' },
  { name: 'help', help: 'this' },
];

const HELP = `npm run bench:routes -- [options]

Three nodes in namespaces on one link: how soon a route of one is known at another, what many cost, and what failures do,
with BIRD 2 as "enf-fabric bgp config" configures it and with FRR. Needs FRR (apt install frr), which nothing else does.

${describeOptions(OPTIONS)}

Examples:
  npm run bench:routes
  npm run bench:routes -- --rounds 1 --routes 10000 --json routes.json
`;

/** Each row: its name, and the figure of a round. */
const ROWS: readonly (readonly [string, (figures: Figures) => number])[] = [
  ['route added → packet arrives, ms', ({ packetMs }) => median(packetMs)!],
  ['… slowest of the round, ms', ({ packetMs }) => Math.max(...packetMs)],
  ['all routes added → known elsewhere, s', ({ addMs }) => addMs / 1_000],
  ['all removed → gone elsewhere, s', ({ withdrawMs }) => withdrawMs / 1_000],
  ['CPU of adding, where they are added, s', ({ addCpuMs }) => addCpuMs[0] / 1_000],
  ['CPU of adding, elsewhere, s', ({ addCpuMs }) => addCpuMs[1] / 1_000],
  ['memory with all, where they are added, MB', ({ rss }) => rss[0] / 1e6],
  ['memory with all, elsewhere, MB', ({ rss }) => rss[1] / 1e6],
  ['link cut → gone elsewhere, ms', ({ cutMs }) => cutMs],
  ['daemon killed → gone elsewhere, ms', ({ killMs }) => killMs],
  ['daemon started → back elsewhere, s', ({ backMs }) => backMs / 1_000],
  ['newest wins on the stale node, of all rounds', ({ newestWins }) => Number(newestWins)],
];

async function child([role, ...args]: readonly string[]): Promise<number> {
  if (role === 'probe') probe(args[0]!);
  else if (role === 'sink') sink();
  else await writer(args[0]!, Number(args[1]));
  return new Promise(() => {});
}

async function main(argv: readonly string[]): Promise<number> {
  try {
    const given = readArguments(OPTIONS, argv);
    if (given.flag('help')) {
      process.stdout.write(HELP);
      return 0;
    }
    const rounds = given.whole('rounds', 1, 100, 3);
    const routes = given.whole('routes', 1, 1_000_000, 100_000);
    const file = given.value('json');
    ensureWritable(file);
    for (const [program, name] of [
      ['/usr/sbin/bird', 'bird2'],
      ['/usr/lib/frr/bgpd', 'frr'],
    ] as const)
      if (!existsSync(program))
        throw new Failure('bench.no-daemon', 'operator', `${program} is missing`, {
          action: `apt install ${name}`,
        });
    const results: Record<'BIRD' | 'FRR', Figures[]> = { BIRD: [], FRR: [] };
    const load = loadavg()[0]!;
    for (let i = 0; i < rounds; i++)
      for (const daemon of i % 2 === 0 ? [BIRD, FRR] : [FRR, BIRD]) {
        process.stderr.write(`round ${i + 1}: ${daemon.name}\n`);
        results[daemon.name].push(await measure(daemon, 5, routes));
      }
    const rows = ROWS.map(([name, value]) => {
      const of = (daemon: 'BIRD' | 'FRR'): number =>
        name.startsWith('newest')
          ? results[daemon].filter((each) => value(each) === 1).length
          : median(results[daemon].map(value))!;
      const [bird, frr] = [of('BIRD'), of('FRR')];
      return [name, figure(bird), figure(frr), name.startsWith('newest') ? '' : figure(frr / bird)];
    });
    process.stdout.write(`${columns(['', 'BIRD', 'FRR', 'FRR ÷ BIRD'], rows)}\n`);
    process.stdout.write(
      `medians of ${rounds} rounds, ${routes} routes; load of the machine ${figure(load)} before, ${figure(loadavg()[0])} at the end\n`,
    );
    if (file !== undefined)
      writeFileSync(file, `${JSON.stringify({ routes, load: [load, loadavg()[0]], ...results }, null, 2)}\n`);
    return 0;
  } catch (error) {
    return reportError('bench:routes', error);
  }
}

const argv = process.argv.slice(2);
process.exit(await (argv[0] === 'child' ? child(argv.slice(1)) : main(argv)));
