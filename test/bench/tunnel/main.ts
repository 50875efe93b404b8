import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { report } from '../../../cli/program.ts';
import { Failure } from '../../../protocol/failure.ts';
import { badOption, ensureWritable } from '../arguments.ts';
import { median, spread } from '../statistics.ts';
import type { Kind } from './kind.ts';
import { FULL, QUICK } from './measure.ts';
import { HELP, type Options, readOptions } from './options.ts';
import { ours } from './ours.ts';
import { ownTunnel, veth } from './own.ts';
import { OUTSIDE, PATHS, type Path } from './path.ts';
import { busyRatio, figures, ratios } from './report.ts';
import { type Rival, rivals } from './rivals.ts';
import { MEASURES, type Row, rowOf } from './row.ts';
import { type Result, run, tlsBulk } from './run.ts';
import { openTestbed } from './testbed.ts';
import { compileTools } from './tools.ts';

/** The tunnel benchmark: who takes part, how they are made available, what is printed. */

const say = (line: string): void => void process.stderr.write(`${line}\n`);

const installed = (program: string): boolean => {
  try {
    execFileSync('sh', ['-c', 'command -v "$0"', program], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
};

const isThere = (rival: Rival): boolean => rival.programs.every(installed);

/** Who is measured: those asked for, without the rivals that are not installed. */
function participants({ only, own, relayed, busy }: Options): readonly Kind[] {
  const wanted = (kind: { name: string }): boolean => only === undefined || only.includes(kind.name);
  return [
    ...ours([
      'direct',
      ...(relayed ? ['relayed' as const] : []),
      ...(busy ? (['busy', 'beside'] as const) : []),
    ]),
    ...rivals().filter(isThere),
    tlsBulk,
    veth,
    ...own.map(({ name, command }) => ownTunnel(name, command)),
  ].filter(wanted);
}

/** Installs the rivals that are missing, or says how to have them. @throws Failure `bench.not-installed` */
function provide({ install, only }: Options): void {
  const missing = rivals().filter((rival) => !isThere(rival) && (only?.includes(rival.name) ?? true));
  if (missing.length === 0) return;
  const packages = missing.flatMap((rival) => rival.packages);
  if (!install) {
    const names = missing.map((rival) => rival.name).join(', ');
    say(`not installed, so not measured: ${names}; --install installs ${packages.join(' ')}`);
    return;
  }
  say(`installing ${packages.join(' ')}`);
  const environment = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  try {
    const apt = (...args: string[]): void =>
      void execFileSync('apt-get', args, { stdio: ['ignore', 'ignore', 'inherit'], env: environment });
    apt('update', '-qq');
    apt('install', '-y', '-qq', '--no-install-recommends', ...packages);
  } catch (cause) {
    throw new Failure('bench.not-installed', 'operator', `apt-get could not install ${packages.join(' ')}`, {
      action: 'Install them by hand, or leave --install away to measure without them.',
      cause,
    });
  }
}

/** The congestion control of the flows inside, by path. @throws Failure `bench.bad-option` */
function congestionOf({ congestion }: Options): (path: Path) => string {
  const file = '/proc/sys/net/ipv4/tcp_available_congestion_control';
  const known = readFileSync(file, 'latin1').trim().split(' ');
  if (congestion === undefined) return ({ inside }) => (known.includes(inside) ? inside : 'default');
  if (known.includes(congestion)) return () => congestion;
  throw badOption(
    `--congestion: this kernel has ${known.join(', ')}, not ${congestion}`,
    'Give one of these, or load its kernel module.',
  );
}

function print(
  results: readonly Result[],
  noise: readonly number[],
  congestion: (path: Path) => string,
  options: Options,
): Row[] {
  const rows = results.map((result) => rowOf(result.name, result.samples));
  const spreads = results.flatMap(({ samples }) =>
    MEASURES.flatMap((measure) => spread(samples.flatMap((sample) => sample[measure] ?? [])) ?? []),
  );
  const percent = (share: number | undefined): string => `${Math.round((share ?? 0) * 100)} %`;
  const paths = PATHS.map((path) => `${path.title} (${congestion(path)} inside)`);
  process.stdout.write(
    [
      '',
      figures(rows),
      '',
      ratios(rows),
      '',
      ...busyRatio(rows),
      `Medians of ${options.rounds} rounds, with two visits to veth in each, on ${cpus().length} processors (${cpus()[0]?.model.trim()}). CPU: user and system time of both ends' processes.`,
      `Paths: ${paths.join('; ')}. Sockets outside get ${OUTSIDE.join(' or ')} unless they ask for another.`,
      `Others used ${percent(median(noise))} of the machine (median of all visits; worst ${percent(Math.max(0, ...noise))}).`,
      ...(spreads.length === 0
        ? []
        : [
            `Rounds of one figure lie ${percent(median(spreads))} apart (median; largest − smallest, of its median).`,
          ]),
      ...results.flatMap(({ name, troubles }) => [...new Set(troubles)].map((each) => `${name}: ${each}`)),
      '',
    ].join('\n'),
  );
  return rows;
}

async function main(argv: readonly string[]): Promise<number> {
  let close = async (): Promise<void> => {};
  try {
    const options = readOptions(argv);
    if (options.help) {
      process.stdout.write(HELP);
      return 0;
    }
    ensureWritable(options.json);
    const congestion = congestionOf(options);
    const testbed = await openTestbed();
    close = () => testbed.close();
    const interrupted = new Promise<number>((resolve) => {
      process.once('SIGINT', () => resolve(130));
      process.once('SIGTERM', () => resolve(143));
    });
    const measured = (async () => {
      provide(options);
      const tools = await compileTools(testbed.folder);
      const common = { testbed, tools, effort: options.quick ? QUICK : FULL };
      const { results, noise } = await run(participants(options), options.rounds, common, congestion, say);
      const rows = print(results, noise, congestion, options);
      if (options.json !== undefined) writeFileSync(options.json, `${JSON.stringify(rows, null, 2)}\n`);
      return results.some((result) => result.samples.length > 0) ? 0 : 1;
    })();
    measured.catch(() => {}); // after an interruption its programs end under it
    const code = await Promise.race([measured, interrupted]);
    if (code > 1) say('stopped, cleaning up');
    return code;
  } catch (error) {
    return report('bench:tunnel', error);
  } finally {
    await close();
  }
}

process.exit(await main(process.argv.slice(2)));
