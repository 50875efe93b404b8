import { writeFileSync } from 'node:fs';
import { nearest, report } from '../../cli/program.ts';
import {
  badOption,
  describeOptions,
  ensureWritable,
  type Option,
  readArguments,
} from '../bench/arguments.ts';
import { compile } from '../bench/compile.ts';
import { createFleet, type Fleet } from './fleet.ts';
import { bans, firstBoot, inTheEnd, moves } from './fleetwide.ts';
import { runLight } from './light.ts';
import { cutDatabase, cutDevices, cutIdentity, cutRouters, cutStandby, losePower } from './links.ts';
import { createPlace, meshed, type Place, TABLE } from './place.ts';
import {
  failOver,
  killAgent,
  killBird,
  killIdentity,
  killRouter,
  killStandby,
  killWorker,
} from './processes.ts';
import { type Scene, startPinging } from './scene.ts';
import { failed, type Row, seconds, tableOf } from './table.ts';
import { startPings, watchRoutes } from './watch.ts';

/**
 * `npm run test:cluster`: a whole fabric on seven hosts, which are namespaces, and its devices, whose processes are killed and whose links are cut. Times are
 * measured and judged, so it is no part of `npm test`.
 */

/** In this order: a tunnel that was lost less than a minute ago comes back after a longer pause. */
const EVENTS: Readonly<Record<string, (scene: Scene) => Promise<Row>>> = {
  moves,
  bans,
  'kill-worker': killWorker,
  'kill-identity': killIdentity,
  'kill-agent': killAgent,
  'kill-router': killRouter,
  'kill-bird': killBird,
  'kill-standby': killStandby,
  'fail-over': failOver,
  'cut-standby': cutStandby,
  'cut-database': cutDatabase,
  'cut-identity': cutIdentity,
  'cut-routers': cutRouters,
  'cut-devices': cutDevices,
  'lose-power': losePower,
};

const OPTIONS: readonly Option[] = [
  { name: 'agents', value: 'N', help: 'how many devices, 60 to 1000 (default 200)' },
  {
    name: 'whole',
    value: 'N',
    help: 'how many of them have a process and a TPM of their own, 1 to 50 (default 10)',
  },
  {
    name: 'event',
    value: 'NAME',
    help: 'only this one of those below, and what comes before and after all',
    many: true,
  },
  { name: 'table', value: 'FILE', help: 'write the table to a file, too' },
  { name: 'help', help: 'this' },
];

const HELP = `npm run test:cluster -- [options]

A whole fabric in network namespaces: three routers with BIRD, two identity servers, PostgreSQL with a standby, and
200 agents. Kills each kind of process, cuts each link and has the standby promoted, and says for each what must hold
and what was measured. Under ten minutes on two idle cores; needs root, 8 GB of memory and what setup.sh --cluster installs.

${describeOptions(OPTIONS)}

Events:
  ${Object.keys(EVENTS).join(', ')}

Exit codes: 0 all held, 1 something did not, 2 wrong usage.

Examples:
  npm run test:cluster
  npm run test:cluster -- --event fail-over --event cut-devices
  npm run test:cluster -- --table cluster.md
`;

/** Agents that boot for the first time during the fail-over, and those that do handshakes all the while. */
const [LATE, RENEWING] = [20, 20];

/** @throws Failure `bench.bad-option` */
function eventsOf(names: readonly string[]): readonly ((scene: Scene) => Promise<Row>)[] {
  const known = Object.keys(EVENTS);
  for (const name of names) {
    if (known.includes(name)) continue;
    const near = nearest(name, known);
    throw badOption(
      `--event: expected one of ${known.join(', ')}, got ${JSON.stringify(name)}`,
      near === undefined ? 'See --help.' : `Did you mean "${near}"?`,
    );
  }
  return known.filter((name) => names.length === 0 || names.includes(name)).map((name) => EVENTS[name]!);
}

interface Wanted {
  readonly agents: number;
  readonly whole: number;
  readonly events: readonly ((scene: Scene) => Promise<Row>)[];
}

const say = (line: string): void => void process.stderr.write(`${line}\n`);

async function play(place: Place, { agents, whole, events }: Wanted, rows: Row[], closing: (() => void)[]) {
  const { folder } = place.world;
  const programs = await Promise.all(
    ['../cluster/routes', '../cluster/pings'].map((each) => compile(each, folder)),
  );
  await Promise.all(place.nodes.map((each) => each.start()));
  await meshed(place);
  const routes = watchRoutes(programs[0]!, place.routers, TABLE);
  closing.push(routes.close);
  const light = [process.execPath, process.argv[1]!, 'light'];
  const fleet: Fleet = await createFleet(place, { light: agents - whole, whole }, light);
  closing.push(fleet.close);
  const pings = startPings(programs[1]!);
  closing.push(pings.close);
  const renewing = fleet.light.slice(0, RENEWING);
  const late = events.includes(failOver) ? fleet.light.slice(RENEWING, RENEWING + LATE) : [];
  const scene: Scene = { place, fleet, routes, pings, renewing, late };
  const plays: readonly ((scene: Scene) => Promise<Row>)[] = [firstBoot, ...events, inTheEnd];
  for (const event of plays) {
    const began = performance.now();
    const row = await event(scene);
    rows.push(row);
    say(`${row.done}   (${seconds(performance.now() - began)})`);
    for (const { must, measured, holds } of row.checks)
      say(`  ${holds === false ? 'FAILED' : 'ok    '} ${must}: ${measured}`);
    if (event === firstBoot) await startPinging(scene);
  }
}

async function main(argv: readonly string[]): Promise<number> {
  const started = performance.now();
  const rows: Row[] = [];
  const closing: (() => void)[] = [];
  let place: Place | undefined;
  let interrupt: (code: number) => void = () => {};
  const interrupted = new Promise<number>((resolve) => {
    interrupt = resolve;
  });
  process.on('SIGINT', () => interrupt(130));
  process.on('SIGTERM', () => interrupt(143));
  try {
    const given = readArguments(OPTIONS, argv);
    if (given.flag('help')) {
      process.stdout.write(HELP);
      return 0;
    }
    const wanted: Wanted = {
      agents: given.whole('agents', 60, 1_000, 200),
      whole: given.whole('whole', 1, 50, 10),
      events: eventsOf(given.values('event')),
    };
    const file = given.value('table');
    ensureWritable(file, 'table');
    place = await createPlace();
    const played = play(place, wanted, rows, closing).then(() => 0);
    const code = await Promise.race([played, interrupted]);
    if (code !== 0) {
      played.catch(() => {}); // its programs are about to be stopped under it
      return code;
    }
    const table = tableOf(rows);
    process.stdout.write(`\n${table}\n`);
    if (file !== undefined) writeFileSync(file, `${table}\n`);
    const wrong = failed(rows);
    const took = `${((performance.now() - started) / 60_000).toFixed(1)} minutes`;
    process.stdout.write(
      wrong.length === 0
        ? `\nAll of it held, in ${took}.\n`
        : `\n${wrong.length} did not hold, in ${took}.\n`,
    );
    return wrong.length === 0 ? 0 : 1;
  } catch (error) {
    if (rows.length > 0) process.stdout.write(`\n${tableOf(rows)}\n\n`);
    return report('test:cluster', error);
  } finally {
    for (const close of closing.reverse()) close();
    await place?.close();
  }
}

if (process.argv[2] === 'light') {
  await runLight();
  // Its agents' tunnels would keep it.
  process.exit(0);
} else process.exit(await main(process.argv.slice(2)));
