import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import type { Arithmetic, EcdaaFace } from '../../../native/ecdaa/ecdaa.ts';
import { addon } from '../../../native/index.ts';
import { badOption, describeOptions, type Option, readArguments } from '../arguments.ts';
import { compile } from '../compile.ts';
import { measureEcdaa } from '../ecdaa.ts';
import { found } from './fabric.ts';
import { makeGroup } from './fleet.ts';
import { type Figures, measure } from './measure.ts';
import { measureP256 } from './p256.ts';
import { compareRegistries, reportRegistries } from './registries.ts';
import { report, reportArithmetic } from './report.ts';
import { soak } from './soak.ts';

/**
 * `npm run bench:admit`: how many first boots an identity server takes. The server is the shipped program on one core, the
 * devices are software on another; everything goes over loopback and ends in the registry.
 */

const OPTIONS: readonly Option[] = [
  { name: 'json', value: 'FILE', help: 'write the figures to a file' },
  { name: 'seconds', value: 'N', help: 'how long each load is measured (default 8)' },
  { name: 'groups', value: 'N', help: 'how many groups the devices are of (default 4)' },
  {
    name: 'registry',
    value: 'FILE',
    help: 'have the registry on PostgreSQL: FILE holds the address of an empty database, mode 0600 (docs/scale.md)',
  },
  {
    name: 'servers',
    value: 'N',
    help: 'only: first boots and boots of known devices with the registry in a file and on PostgreSQL (--registry), there with one identity server and, if N is 2, with two',
  },
  { name: 'rounds', value: 'N', help: 'rounds of the arithmetic alone (default 5)' },
  {
    name: 'arithmetic',
    value: 'NAME',
    help: 'only: the arithmetic alone, with portable, adx or lanes instead of the best of this processor',
  },
  { name: 'soak', value: 'MINUTES', help: 'only: steady load for so long, and what memory does meanwhile' },
  { name: 'soak-rate', value: 'N', help: 'handshakes a second of that load (default 300)' },
  { name: 'help', help: 'this' },
];

/** @throws Failure `bench.bad-option` if it is none, or the processor lacks it */
function arithmeticOf(name: string): Arithmetic {
  try {
    return (addon() as EcdaaFace).ecdaaArithmetic(name as Arithmetic);
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
    throw badOption(`--arithmetic ${name}: ${error.message}`, 'Give portable, adx or lanes.');
  }
}

const given = readArguments(OPTIONS, process.argv.slice(2));
if (given.flag('help')) {
  process.stdout.write(`Usage: npm run bench:admit -- [options]\n\n${describeOptions(OPTIONS)}\n`);
} else if (given.value('arithmetic') !== undefined) {
  const measured = await measureEcdaa(
    given.whole('rounds', 1, 100, 5),
    arithmeticOf(given.value('arithmetic')!),
  );
  process.stdout.write(`${reportArithmetic(measured)}\n`);
  const file = given.value('json');
  if (file !== undefined) writeFileSync(file, `${JSON.stringify(measured, null, 2)}\n`);
} else {
  const say = (line: string): void => void process.stderr.write(`${line}\n`);
  const seconds = given.whole('seconds', 1, 120, 8);
  const minutes = given.whole('soak', 1, 600, 0);
  const rate = given.whole('soak-rate', 1, 2_000, 300);
  const servers = given.whole('servers', 1, 2, 0);
  const registry = given.value('registry');
  if (servers > 0 && registry === undefined)
    throw badOption('--servers: there is no database', 'Give --registry FILE, too.');
  const several = availableParallelism() > 1;
  const whole = minutes === 0 && servers === 0;
  if (whole) say('arithmetic alone');
  const arithmetic = whole ? await measureEcdaa(given.whole('rounds', 1, 100, 5)) : undefined;
  const p256 = measureP256();
  // Threads that come later inherit it: the server's core is the server's.
  if (several) execFileSync('taskset', ['-a', '-c', '-p', '1', String(process.pid)], { stdio: 'ignore' });
  const groups = Array.from({ length: given.whole('groups', 1, 64, 4) }, (_, i) => makeGroup(`bench ${i}`));
  const fabric = found(groups, servers > 0 ? undefined : registry);
  try {
    const program = await compile('admit/callers', fabric.folder);
    const write = (figures: unknown): void => {
      const file = given.value('json');
      if (file !== undefined) writeFileSync(file, `${JSON.stringify(figures, null, 2)}\n`);
    };
    if (minutes > 0) process.stdout.write(`${await soak(fabric, groups, { program, minutes, rate, say })}\n`);
    else if (registry !== undefined && servers > 0) {
      const figures = await compareRegistries(fabric, groups, { program, seconds, registry, servers, say });
      process.stdout.write(`${reportRegistries(figures)}\n`);
      write(figures);
    } else {
      const load = await measure(fabric, groups, { seconds, p256, program, say });
      const figures: Figures = { ...arithmetic!, ...load.figures };
      process.stdout.write(`${report(figures, load.remarks)}\n`);
      write(figures);
    }
  } finally {
    fabric.remove();
  }
}
