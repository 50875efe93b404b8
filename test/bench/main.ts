import { writeFileSync } from 'node:fs';
import { cpus, loadavg } from 'node:os';
import { report } from '../../cli/program.ts';
import { ecdaaCore } from '../../crypto/ecdaa.ts';
import { badOption, describeOptions, ensureWritable, type Option, readArguments } from './arguments.ts';
import { measureDevice } from './device.ts';
import { measureEcdaa } from './ecdaa.ts';
import { describe, deviceFigures, ecdaaFigures, type Figure, handshakeFigures } from './figures.ts';
import { measureHandshakes } from './handshakes.ts';

/** Everything but the tunnel: identities, cryptography, the agent's start and memory. */

const PARTS = ['handshakes', 'ecdaa', 'device'] as const;
type Part = (typeof PARTS)[number];

const OPTIONS: readonly Option[] = [
  { name: 'only', value: 'A,B', help: `measure only these parts: ${PARTS.join(', ')}` },
  { name: 'quick', help: 'fewer of each: a look, not a result' },
  {
    name: 'json',
    value: 'FILE',
    help: 'write the figures there: an array of { name, unit, value, c, most }',
  },
  { name: 'help', help: 'this' },
];

const HELP = `npm run bench -- [options]

Measures, as root: handshakes of the identity server and what they cost each side, the group signatures alone, the
agent's cold start and memory with a software TPM. Beside it the figures of the C programs. The tunnel has its own:
npm run bench:tunnel; and so have many devices at once: npm run bench:admit.

${describeOptions(OPTIONS)}

Examples:
  npm run bench -- --json result.json
  npm run bench -- --quick --only handshakes
`;

function partsOf(only: string | undefined): readonly Part[] {
  if (only === undefined) return PARTS;
  const names = only.split(',').map((name) => name.trim());
  const unknown = names.find((name) => !(PARTS as readonly string[]).includes(name));
  if (unknown === undefined) return PARTS.filter((part) => names.includes(part));
  throw badOption(
    `--only: ${JSON.stringify(unknown)} is not one of ${PARTS.join(', ')}`,
    'Separate names by commas.',
  );
}

async function measure(part: Part, quick: boolean): Promise<readonly Figure[]> {
  switch (part) {
    case 'handshakes':
      return handshakeFigures(await measureHandshakes(quick ? 10 : 30));
    case 'ecdaa':
      return ecdaaCore().name === 'noble' ? [] : ecdaaFigures(await measureEcdaa(quick ? 2 : 7));
    case 'device':
      return deviceFigures(await measureDevice(quick ? 1 : 5));
  }
}

async function main(argv: readonly string[]): Promise<number> {
  try {
    const given = readArguments(OPTIONS, argv);
    if (given.flag('help')) {
      process.stdout.write(HELP);
      return 0;
    }
    ensureWritable(given.value('json'));
    const figures: Figure[] = [];
    for (const part of partsOf(given.value('only'))) {
      process.stderr.write(`measuring: ${part}\n`);
      figures.push(...(await measure(part, given.flag('quick'))));
    }
    const load = loadavg()[0]!.toFixed(1);
    process.stdout.write(
      `\n${describe(figures)}\n\nECDAA: ${ecdaaCore().name}. Load average ${load} on ${cpus().length} processors: what others do is in everything that is not CPU time or memory.\n`,
    );
    const file = given.value('json');
    if (file !== undefined) writeFileSync(file, `${JSON.stringify(figures, null, 2)}\n`);
    return 0;
  } catch (error) {
    return report('bench', error);
  }
}

process.exit(await main(process.argv.slice(2)));
