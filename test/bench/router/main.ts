import { writeFileSync } from 'node:fs';
import { report as reportError } from '../../../cli/program.ts';
import { found } from '../admit/fabric.ts';
import { makeGroup } from '../admit/fleet.ts';
import { describeOptions, ensureWritable, type Option, readArguments } from '../arguments.ts';
import { compile } from '../compile.ts';
import { measure } from './measure.ts';
import { report } from './report.ts';

/**
 * `npm run bench:router`: what a fabric's router costs for each byte, each connection that comes and each that is there. The fabric is the
 * shipped program, the devices are a C program beside it, on enftun's wire; everything goes over loopback.
 */

const OPTIONS: readonly Option[] = [
  { name: 'rounds', value: 'N', help: 'how often all is measured; medians are printed (default 3)' },
  { name: 'seconds', value: 'N', help: 'how long each load lasts (default 4)' },
  { name: 'idle', value: 'N', help: 'devices connected at the same time (default 1000)' },
  { name: 'json', value: 'FILE', help: 'write the figures to a file' },
  { name: 'help', help: 'this' },
];

const HELP = `npm run bench:router -- [options]

What the fabric's router costs: CPU for the packets of eight pairs of devices, with and without rules and rate limits, CPU for a device that connects, also by a certificate of a CA, memory
for one
that is idle. About five minutes.

${describeOptions(OPTIONS)}

Examples:
  npm run bench:router
  npm run bench:router -- --rounds 1 --json router.json
`;

async function main(argv: readonly string[]): Promise<number> {
  try {
    const given = readArguments(OPTIONS, argv);
    if (given.flag('help')) {
      process.stdout.write(HELP);
      return 0;
    }
    const file = given.value('json');
    ensureWritable(file);
    const effort = {
      rounds: given.whole('rounds', 1, 100, 3),
      seconds: given.whole('seconds', 1, 120, 4),
      idle: given.whole('idle', 192, 4_096, 1_000),
    };
    const group = makeGroup('bench');
    const fabric = found([group]);
    try {
      const program = await compile('router/devices', fabric.folder, ['-lssl', '-lcrypto', '-lpthread']);
      const say = (line: string): void => void process.stderr.write(`${line}\n`);
      const figures = await measure(fabric, group, program, effort, say);
      process.stdout.write(`${report(figures)}\n`);
      if (file !== undefined) writeFileSync(file, `${JSON.stringify(figures, null, 2)}\n`);
    } finally {
      fabric.remove();
    }
    return 0;
  } catch (error) {
    return reportError('bench:router', error);
  }
}

process.exit(await main(process.argv.slice(2)));
