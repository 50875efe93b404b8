import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { report as reportError } from '../../../cli/program.ts';
import { openDatabase } from '../../../fabric/registry/sqlite/database.ts';
import { Failure } from '../../../protocol/failure.ts';
import { describeOptions, ensureWritable, type Option, readArguments } from '../arguments.ts';
import { PROGRAM } from '../scale/command.ts';
import type { Generated } from '../scale/generate.ts';
import { REGISTRY_OPTION } from '../scale/moved.ts';
import { KEEP_OPTION, withPrepared } from '../scale/prepared.ts';
import { holds, type Row, report } from '../scale/report.ts';
import { serve, settled } from '../scale/serving.ts';
import { measurePages } from './pages.ts';
import { serveConsole } from './serving.ts';

/** `npm run bench:console`: how soon the console's pages get their rows from a fabric with very many devices. */

const DEVICES = 1_000_000;
const REQUESTS = 300;
const CITIES = 5_000;

const OPTIONS: readonly Option[] = [
  { name: 'devices', value: 'N', help: `how many devices the registry has (default ${DEVICES})` },
  { name: 'requests', value: 'N', help: `how often each page is asked for (default ${REQUESTS})` },
  REGISTRY_OPTION,
  KEEP_OPTION,
  { name: 'json', value: 'FILE', help: 'write the figures to a file' },
  { name: 'help', help: 'this' },
];

const HELP = `npm run bench:console -- [options]

How soon the console's pages get their rows over HTTP from a fabric with very many devices, one request after the other: the median and the
99th percentile of each, and what they must be. Ends with 1 if one does not hold.

${describeOptions(OPTIONS)}

Examples:
  npm run bench:console
  npm run bench:console -- --devices 100000 --json console.json
  npm run bench:console -- --registry /root/empty.url --keep /var/tmp/million
`;

const say = (line: string): void => void process.stderr.write(`${line}\n`);

/** What makes devices differ: places, names, standings. */
function scatter(data: string): void {
  const db = openDatabase(join(data, 'registry.db'));
  db.exec(`
    PRAGMA journal_mode = MEMORY; PRAGMA synchronous = OFF;
    INSERT INTO place (country, region, city, latitude, longitude, radius_km)
      WITH RECURSIVE n (value) AS (VALUES (1) UNION ALL SELECT value + 1 FROM n WHERE value < ${CITIES})
      SELECT 'CH', 'region', 'city ' || value, value % 90, value % 180, 20 FROM n;
    UPDATE device SET
      place = id % ${CITIES} + 1,
      country = CASE id % 5 WHEN 0 THEN 'CH' WHEN 1 THEN 'DE' WHEN 2 THEN 'US' WHEN 3 THEN 'JP' ELSE 'BR' END,
      name = CASE WHEN id % 100 = 0 THEN 'pump-' || id END,
      banned = id % 10000 = 0,
      tunnel_ended = CASE WHEN id % 5 = 0 THEN tunnel_ended END;
    UPDATE handshake SET place = id % ${CITIES} + 1;
    INSERT INTO handshake_hour SELECT unixepoch() / 3600 - value % 24, 1, 'CH', value % 2, value
      FROM (WITH RECURSIVE n (value) AS (VALUES (1) UNION ALL SELECT value + 1 FROM n WHERE value < 48) SELECT value FROM n)
      WHERE true ON CONFLICT DO NOTHING;
    PRAGMA journal_mode = WAL;`);
  db.close();
}

async function measure(
  { data, gid }: Generated,
  { devices, requests }: { devices: number; requests: number },
): Promise<Row[]> {
  const fabric = await serve(data, false);
  try {
    const console = await serveConsole(data);
    try {
      say('until the fabric has read what it searches, and its audit trail');
      const reading: Row = {
        what: 'serve, until it has read all of that',
        unit: 's',
        value: await settled(fabric),
      };
      say(`${requests} requests for each page`);
      const pages = await measurePages(console, { gid, requests });
      say('all devices as CSV');
      // The memory is looked at last: of what a list needs as a whole.
      return [reading, ...pages, await console.exported('/devices?format=csv', devices), console.memory()];
    } finally {
      await console.stop();
    }
  } finally {
    await fabric.stop();
  }
}

async function main(argv: readonly string[]): Promise<number> {
  try {
    const given = readArguments(OPTIONS, argv);
    if (given.flag('help')) {
      process.stdout.write(HELP);
      return 0;
    }
    const devices = given.whole('devices', 1_000, 10_000_000, DEVICES);
    const requests = given.whole('requests', 10, 100_000, REQUESTS);
    const [registry, file] = [given.value('registry'), given.value('json')];
    ensureWritable(file);
    if (!existsSync(PROGRAM)) {
      throw new Failure('bench.not-built', 'operator', `${PROGRAM} is missing`, {
        action: 'Run "npm run build".',
      });
    }
    const wanted = { bench: 'console', devices, registry, keep: given.value('keep'), finish: scatter };
    return await withPrepared(wanted, async (prepared) => {
      const rows = [...prepared.rows, ...(await measure(prepared, { devices, requests }))];
      process.stdout.write(`${report(rows)}\n`);
      if (file !== undefined)
        writeFileSync(file, `${JSON.stringify({ devices, requests, rows }, null, 2)}\n`);
      return rows.every(holds) ? 0 : 1;
    });
  } catch (error) {
    return reportError('bench:console', error);
  }
}

process.exit(await main(process.argv.slice(2)));
