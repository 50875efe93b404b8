import { writeFileSync } from 'node:fs';
import { report as reportError } from '../../../cli/program.ts';
import { badOption, describeOptions, ensureWritable, type Option, readArguments } from '../arguments.ts';
import { ATTACKS } from './all.ts';
import { holds, type Measured, report } from './report.ts';

/** `npm run bench:hostile`: what each attack on a fabric does to honest peers, with and without it in one run. */

const OPTIONS: readonly Option[] = [
  { name: 'only', value: 'A1,A2', help: 'these attacks only' },
  { name: 'seconds', value: 'N', help: 'how long each load lasts (default 10)' },
  { name: 'json', value: 'FILE', help: 'write the figures to a file' },
  { name: 'help', help: 'this' },
];

const HELP = `npm run bench:hostile -- [options]

What hostile peers do to honest ones: each figure without and with the attack, and what it must be. Ends with 1 if one does not hold.

${describeOptions(OPTIONS)}

Attacks:
${ATTACKS.map(({ id, title }) => `  ${id}  ${title}`).join('\n')}

Examples:
  npm run bench:hostile
  npm run bench:hostile -- --only A1 --json hostile.json
`;

function chosen(only: string | undefined): typeof ATTACKS {
  if (only === undefined) return ATTACKS;
  return only.split(',').flatMap((id) => {
    const attacks = ATTACKS.filter((known) => known.id === id);
    if (attacks.length > 0) return attacks;
    throw badOption(
      `--only: no attack ${JSON.stringify(id)}`,
      `Give some of ${[...new Set(ATTACKS.map((known) => known.id))].join(',')}.`,
    );
  });
}

async function main(argv: readonly string[]): Promise<number> {
  try {
    const given = readArguments(OPTIONS, argv);
    if (given.flag('help')) {
      process.stdout.write(HELP);
      return 0;
    }
    const attacks = chosen(given.value('only'));
    const file = given.value('json');
    ensureWritable(file);
    const effort = { seconds: given.whole('seconds', 1, 120, 10) };
    const measured: Measured[] = [];
    for (const { id, title, measure } of attacks) {
      process.stderr.write(`${id} ${title}\n`);
      const rows = await measure(effort, (line) => void process.stderr.write(`  ${line}\n`));
      measured.push({ id, title, rows });
    }
    process.stdout.write(`${report(measured)}\n`);
    if (file !== undefined) writeFileSync(file, `${JSON.stringify(measured, null, 2)}\n`);
    return measured.every(({ rows }) => rows.every(holds)) ? 0 : 1;
  } catch (error) {
    return reportError('bench:hostile', error);
  }
}

process.exit(await main(process.argv.slice(2)));
