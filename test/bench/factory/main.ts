import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { report as reportError } from '../../../cli/program.ts';
import { Failure } from '../../../protocol/failure.ts';
import { measureP256 } from '../admit/p256.ts';
import { badOption, describeOptions, ensureWritable, type Option, readArguments } from '../arguments.ts';
import { holds, type Row, report } from '../scale/report.ts';
import { measureBoards } from './boards.ts';
import { measureChips } from './chips.ts';
import { PROGRAM } from './place.ts';
import { measureRosters } from './roster.ts';

/** `npm run bench:factory`: what a station spends on each device, and a fabric on its roster. */

const BOARDS = 256;
const AT_ONCE = 64;
const CHIPS = 24;
const ROWS = 1_000_000;

const OPTIONS: readonly Option[] = [
  { name: 'only', value: 'A,B', help: 'a part: boards, chips, rosters' },
  { name: 'boards', value: 'N', help: `boards in each of five rounds (default ${BOARDS})` },
  { name: 'at-once', value: 'N', help: `boards at a time (default ${AT_ONCE})` },
  { name: 'chips', value: 'N', help: `chips that are put into the sockets (default ${CHIPS})` },
  { name: 'rows', value: 'N', help: `devices of the roster that a fabric takes (default ${ROWS})` },
  {
    name: 'registry',
    value: 'FILE',
    help: 'rosters: devices come to a registry on PostgreSQL; FILE holds the address of an empty database, mode 0600 (docs/scale.md)',
  },
  { name: 'json', value: 'FILE', help: 'write the figures to a file' },
  { name: 'help', help: 'this' },
];

const HELP = `npm run bench:factory -- [options]

What a station of the factory line spends on each device, and a fabric on a batch's roster: each figure and what it must be. Ends with 1 if one does not hold.

${describeOptions(OPTIONS)}

Examples:
  npm run bench:factory
  npm run bench:factory -- --only boards --at-once 16 --json factory.json
  npm run bench:factory -- --only rosters --rows 100000 --registry registry.url
`;

const say = (line: string): void => void process.stderr.write(`${line}\n`);

/** What is measured; each makes its own batches in the folder. */
interface Part {
  readonly name: string;
  readonly title: string;
  measure(folder: string): Promise<readonly Row[]>;
}

function partsOf(given: ReturnType<typeof readArguments>): readonly Part[] {
  const boards = given.whole('boards', 16, 100_000, BOARDS);
  const atOnce = given.whole('at-once', 1, 1_024, AT_ONCE);
  const chips = given.whole('chips', 4, 10_000, CHIPS);
  const rows = given.whole('rows', 1_000, 10_000_000, ROWS);
  const registry = given.value('registry');
  const parts: readonly Part[] = [
    {
      name: 'boards',
      title: 'boards on the network',
      measure: (folder) => measureBoards(folder, { boards, atOnce }),
    },
    { name: 'chips', title: 'chips in sockets', measure: (folder) => measureChips(folder, chips) },
    {
      name: 'rosters',
      title: 'rosters',
      measure: (folder) => measureRosters(folder, { rows, registry, say }),
    },
  ];
  const only = given.value('only')?.split(',');
  const unknown = only?.find((name) => !parts.some((part) => part.name === name));
  if (unknown !== undefined)
    throw badOption(
      `--only: no part ${JSON.stringify(unknown)}`,
      `Give some of ${parts.map(({ name }) => name).join(',')}.`,
    );
  return parts.filter(({ name }) => only === undefined || only.includes(name));
}

async function main(argv: readonly string[]): Promise<number> {
  try {
    const given = readArguments(OPTIONS, argv);
    if (given.flag('help')) {
      process.stdout.write(HELP);
      return 0;
    }
    const parts = partsOf(given);
    const file = given.value('json');
    ensureWritable(file);
    if (!existsSync(PROGRAM)) {
      throw new Failure('bench.not-built', 'operator', `${PROGRAM} is missing`, {
        action: 'Run "npm run build".',
      });
    }
    const folder = mkdtempSync(join(tmpdir(), 'enf-line-'));
    try {
      const rows: Row[] = [
        { what: 'yardstick: a P-256 signature and its verification, CPU', unit: 'ms', value: measureP256() },
      ];
      for (const { title, measure } of parts) {
        say(title);
        rows.push(...(await measure(folder)));
      }
      process.stdout.write(`${report(rows)}\n`);
      if (file !== undefined) writeFileSync(file, `${JSON.stringify({ rows }, null, 2)}\n`);
      return rows.every(holds) ? 0 : 1;
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  } catch (error) {
    return reportError('bench:factory', error);
  }
}

process.exit(await main(process.argv.slice(2)));
