import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { report } from '../../../os/cli.ts';
import { Failure, isFailure } from '../../../protocol/failure.ts';
import { badOption } from '../arguments.ts';
import { measureNoise } from '../processes.ts';
import { median, spread } from '../statistics.ts';
import { type Kind, waitUntilUp } from './kind.ts';
import {
  type Bench,
  FULL,
  measureFast,
  measureLimited,
  measureTlsFast,
  measureTlsLimited,
  QUICK,
  type TlsOptions,
} from './measure.ts';
import { HELP, type Options, readOptions } from './options.ts';
import { ours } from './ours.ts';
import { ownTunnel, veth } from './own.ts';
import { OUTSIDE, PATHS, type Path } from './path.ts';
import { figures, ratios } from './report.ts';
import { makeCertificates, type Rival, rivals } from './rivals.ts';
import { MEASURES, type Row, rowOf, type Sample } from './row.ts';
import { openStage } from './stage.ts';
import { compileTools } from './tools.ts';

/**
 * The tunnel benchmark. Each round visits every path and, on it, every tunnel in turn (the next round backwards), each
 * time on namespaces made anew, so that whatever else the machine does meets all of them alike.
 */

/** TLS without a tunnel, as one of the kinds: it has no ends to start, its measurement is its own. */
const TLS_BULK = 'tls-bulk';
const CIPHER = 'TLS_AES_128_GCM_SHA256';

interface Result {
  readonly name: string;
  readonly samples: Sample[];
  /** Why there are none, or fewer. */
  readonly troubles: string[];
}

const say = (line: string): void => void process.stderr.write(`${line}\n`);

async function run(
  options: Options,
  common: Omit<Bench, 'congestion'>,
  congestion: (path: Path) => string,
): Promise<{ results: Result[]; noise: number[] }> {
  const kinds = participants(options);
  const results = kinds.map((kind): Result => ({ name: kind.name, samples: [], troubles: [] }));
  const noise: number[] = [];
  const out = new Set<string>();
  const { stage, tools } = common;
  const trouble = (name: string, error: unknown): void => {
    stage.ensureOpen(); // what fails because we were stopped is nobody's trouble
    results.find((each) => each.name === name)!.troubles.push((error as Error).message);
    if (isFailure(error, 'bench.not-here')) out.add(name);
  };

  await stage.raise(PATHS[0]!, tools.wan, 0);
  const file = await makeCertificates(stage);
  const tls: TlsOptions = { certificate: file('far', 'crt'), key: file('far', 'key'), cipher: CIPHER };
  for (const kind of kinds) {
    try {
      await kind.prepare(stage);
    } catch (error) {
      trouble(kind.name, error);
      out.add(kind.name);
    }
  }
  await stage.lower();

  const began = performance.now();
  const total = options.rounds * PATHS.length * kinds.length;
  let done = 0;
  for (let round = 1; round <= options.rounds; round++) {
    for (const path of PATHS) {
      const bench: Bench = { ...common, congestion: congestion(path) };
      for (const kind of round % 2 === 0 ? [...kinds].reverse() : kinds) {
        done++;
        if (out.has(kind.name)) continue;
        const left = ((performance.now() - began) / 1_000 / Math.max(1, done - 1)) * (total - done + 1);
        const more = done > 1 ? `, about ${Math.ceil(left / 60)} min left` : '';
        say(`round ${round}/${options.rounds}, ${path.title}: ${kind.name}${more}`);
        try {
          await stage.raise(path, tools.wan, round);
          const meter = measureNoise(stage.groups, cpus().length);
          const sample =
            kind.name === TLS_BULK ? await visitTls(bench, tls, path) : await visit(bench, kind, path);
          noise.push(meter.share());
          results.find((each) => each.name === kind.name)!.samples.push(sample);
        } catch (error) {
          trouble(kind.name, error);
        }
        await stage.lower();
      }
    }
  }
  return { results, noise };
}

async function visit(bench: Bench, kind: Kind, path: Path): Promise<Sample> {
  const standing = await kind.raise(bench.stage);
  await waitUntilUp(bench.stage, kind.name, standing);
  if (path.name === 'fast') return measureFast(bench, standing);
  const { mbit, rttMs } = await measureLimited(bench, standing, bench.effort[path.name]);
  return path.name === 'slow'
    ? { mbit_at_20: mbit, ...(rttMs !== undefined && { rtt_load_20mbit_ms: rttMs }) }
    : { mbit_lossy: mbit, ...(rttMs !== undefined && { rtt_lossy_ms: rttMs }) };
}

async function visitTls(bench: Bench, tls: TlsOptions, path: Path): Promise<Sample> {
  if (path.name === 'fast') return measureTlsFast(bench, tls);
  const mbit = await measureTlsLimited(bench, tls, bench.effort[path.name]);
  return path.name === 'slow' ? { mbit_at_20: mbit } : { mbit_lossy: mbit };
}

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
function participants({ only, own, relayed }: Options): readonly Kind[] {
  const wanted = (kind: { name: string }): boolean => only === undefined || only.includes(kind.name);
  const tls: Kind = { ...veth, name: TLS_BULK };
  return [
    ...ours(relayed ? ['direct', 'relayed'] : ['direct']),
    ...rivals().filter(isThere),
    tls,
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
      `Medians of ${options.rounds} on ${cpus().length} processors (${cpus()[0]?.model.trim()}). CPU: user and system time of both ends' processes.`,
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
    const congestion = congestionOf(options);
    const stage = await openStage();
    close = () => stage.close();
    const interrupted = new Promise<number>((resolve) => {
      process.once('SIGINT', () => resolve(130));
      process.once('SIGTERM', () => resolve(143));
    });
    const measured = (async () => {
      provide(options);
      const tools = await compileTools(stage.folder);
      const common = { stage, tools, effort: options.quick ? QUICK : FULL };
      const { results, noise } = await run(options, common, congestion);
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
