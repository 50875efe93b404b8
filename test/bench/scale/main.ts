import { existsSync, writeFileSync } from 'node:fs';
import { report as reportError } from '../../../cli/program.ts';
import { Failure } from '../../../protocol/failure.ts';
import { describeOptions, ensureWritable, type Option, readArguments } from '../arguments.ts';
import { PROGRAM } from './command.ts';
import { measureAlone, measureServing, onDisk } from './measure.ts';
import { REGISTRY_OPTION } from './moved.ts';
import { KEEP_OPTION, withPrepared } from './prepared.ts';
import { holds, report } from './report.ts';

/** `npm run bench:scale`: what an owner asks of a fabric with very many devices, and what that costs the fabric. */

const DEVICES = 1_000_000;

const OPTIONS: readonly Option[] = [
  { name: 'devices', value: 'N', help: `how many devices the registry has (default ${DEVICES})` },
  REGISTRY_OPTION,
  KEEP_OPTION,
  { name: 'json', value: 'FILE', help: 'write the figures to a file' },
  { name: 'help', help: 'this' },
];

const HELP = `npm run bench:scale -- [options]

What an owner asks of a fabric with very many devices: each figure and what it must be. Ends with 1 if one does not hold.
A registry of a million devices takes a gigabyte of the temporary folder (TMPDIR) and some minutes.

${describeOptions(OPTIONS)}

Examples:
  npm run bench:scale
  npm run bench:scale -- --devices 100000 --json scale.json
  npm run bench:scale -- --registry /root/empty.url
`;

const say = (line: string): void => void process.stderr.write(`${line}\n`);

async function main(argv: readonly string[]): Promise<number> {
  try {
    const given = readArguments(OPTIONS, argv);
    if (given.flag('help')) {
      process.stdout.write(HELP);
      return 0;
    }
    const devices = given.whole('devices', 1, 10_000_000, DEVICES);
    const [registry, file] = [given.value('registry'), given.value('json')];
    ensureWritable(file);
    if (!existsSync(PROGRAM)) {
      throw new Failure('bench.not-built', 'operator', `${PROGRAM} is missing`, {
        action: 'Run "npm run build".',
      });
    }
    const wanted = { bench: 'scale', devices, registry, keep: given.value('keep') };
    return await withPrepared(wanted, async (prepared) => {
      const registered = registry === undefined ? onDisk(prepared, devices) : prepared.rows;
      say('without a fabric that serves');
      const alone = await measureAlone(prepared, devices);
      say('beside a fabric that serves');
      const rows = [...registered, ...alone, ...(await measureServing(prepared))];
      process.stdout.write(`${report(rows)}\n`);
      if (file !== undefined) writeFileSync(file, `${JSON.stringify({ devices, rows }, null, 2)}\n`);
      return rows.every(holds) ? 0 : 1;
    });
  } catch (error) {
    return reportError('bench:scale', error);
  }
}

process.exit(await main(process.argv.slice(2)));
