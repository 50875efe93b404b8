import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createReadStream, createWriteStream, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { finished } from 'node:stream/promises';
import { generateMakerKey, signAsMaker } from '../../../crypto/maker-key.ts';
import { toHex } from '../../../protocol/bytes.ts';
import { formatRosterHeader } from '../../../protocol/roster.ts';
import type { Caller } from '../admit/client.ts';
import { found } from '../admit/fabric.ts';
import { type BenchGroup, type Chip, makeChip, makeGroup, signAs } from '../admit/fleet.ts';
import { addressOf, type Clients } from '../admit/load.ts';
import { saturate, startTestServer, type TestServer } from '../admit/measured-load.ts';
import { compile } from '../compile.ts';
import { run } from '../scale/command.ts';
import type { Row } from '../scale/report.ts';
import { serve } from '../scale/serving.ts';
import { median } from '../statistics.ts';

/** What a roster costs a fabric: when it comes, and for each device that comes. */

/** How often the memory of the fabric is looked at. */
const LOOK_MS = 50;
/** Handshakes at a time. */
const SLOTS = 192;
const REST_MS = 60;
const WARM_S = 2;
/** The two groups take turns; new devices are needed for all of them. */
const TURNS = 8;
const TURN_S = 2;
const AGAIN_S = 0.3;
const MOST_PER_S = 1_700;
/** Lines that are written at once. */
const LINES = 5_000;

export interface RosterOptions {
  /** Lines of the roster. */
  readonly rows: number;
  /** The file with the address of an empty database, for what devices that come are measured on. */
  readonly registry?: string | undefined;
  readonly say: (line: string) => void;
}

/** `folder`: for what is needed meanwhile. */
export async function measureRosters(folder: string, options: RosterOptions): Promise<readonly Row[]> {
  return [...(await measureImport(folder, options)), ...(await measureAdmission(folder, options))];
}

/** Gives a roster to a fabric that serves. */
async function measureImport(folder: string, { rows, say }: RosterOptions): Promise<Row[]> {
  const group = makeGroup('import');
  const fabric = found([group]);
  try {
    const file = join(folder, 'import.roster');
    say(`writing a roster of ${rows} lines`);
    await writeRoster(file, group, [], rows);
    const serving = await serve(fabric.data, true);
    let residentMb = 0;
    const before = serving.residentMb();
    const cpu = serving.cpu();
    const timer = setInterval(() => {
      residentMb = Math.max(residentMb, serving.residentMb());
    }, LOOK_MS);
    say('giving it to a fabric that serves');
    const gid = toHex(group.gid).slice(0, 16);
    const { result, stallMs } = await serving.during(() =>
      run('roster', 'add', gid, '--roster', file, '--data', fabric.data, '--json'),
    );
    clearInterval(timer);
    const spent = serving.cpu() - cpu;
    await serving.stop();
    say(`${result.seconds.toFixed(1)} s, the fabric has ${Math.round(residentMb)} MB at most`);
    return [
      { what: 'import of a roster', unit: 'rows/s', value: rows / result.seconds, must: { atLeast: 50_000 } },
      {
        what: 'import: rows in a second of the fabric’s CPU',
        unit: 'rows',
        value: rows / spent,
        must: { atLeast: 50_000 },
      },
      { what: 'import: the fabric grows by', unit: 'MB', value: residentMb - before, must: { atMost: 100 } },
      { what: 'import: the command has at most', unit: 'MB', value: result.peakMb, must: { atMost: 250 } },
      { what: 'import: the fabric stands still at most', unit: 'ms', value: stallMs },
    ];
  } finally {
    fabric.remove();
  }
}

/** First boots of a group with a roster against those of one without, in turns. */
async function measureAdmission(folder: string, { rows, registry, say }: RosterOptions): Promise<Row[]> {
  const [listed, open] = [makeGroup('listed'), makeGroup('open')];
  const program = await compile('admit/callers', folder);
  const fabric = found([listed, open], registry);
  try {
    const count = Math.ceil(MOST_PER_S * (WARM_S + TURNS * (TURN_S + AGAIN_S)));
    say(`making ${2 * count} devices`);
    const [of, without] = [listed, open].map((group) => Array.from({ length: count }, () => makeChip(group)));
    const file = join(folder, 'admission.roster');
    await writeRoster(file, listed, of!, Math.max(rows, count));
    await run(
      'roster',
      'add',
      toHex(listed.gid).slice(0, 16),
      '--roster',
      file,
      '--data',
      fabric.data,
      '--json',
    );
    const server = await startTestServer(fabric, program, '0');
    const [with_, without_] = [clientsOf(server, of!), clientsOf(server, without!)];
    await saturate(server, with_, WARM_S / 2, TURN_S);
    await saturate(server, without_, WARM_S / 2, TURN_S);
    const ratios: number[] = [];
    for (let turn = 0; turn < TURNS; turn++) {
      const a = await saturate(server, with_, AGAIN_S, TURN_S);
      const b = await saturate(server, without_, AGAIN_S, TURN_S);
      say(
        `with a roster ${Math.round(a.perSecond)}/s, ${a.cpuMs.toFixed(3)} ms each; without ${Math.round(b.perSecond)}/s, ${b.cpuMs.toFixed(3)} ms each`,
      );
      if (a.refused > 0 || b.refused > 0) throw new Error('devices of the roster were refused');
      ratios.push(b.cpuMs / a.cpuMs);
    }
    await server.stop();
    return [
      {
        what: 'first boots with a roster, of those without, at the same CPU',
        unit: '',
        value: median(ratios)!,
        must: { atLeast: 0.97 },
      },
    ];
  } finally {
    fabric.remove();
  }
}

/** New devices, as long as there are any; then those that were first come again. */
function clientsOf({ callers, root }: TestServer, chips: readonly Chip[]): Clients {
  let taken = 0;
  const client = (slot: number): Caller => {
    const chip = chips[taken++ % chips.length]!;
    const from = addressOf(1, slot);
    return {
      ...{ callers, from, root, suite: slot % 2 === 0 ? 1 : 3, gid: chip.group.gid },
      sign: (message) => signAs(chip, message),
    };
  };
  return { slots: SLOTS, restMs: REST_MS, next: client };
}

/** A roster that has these chips at places of their own, among others that nobody has. */
async function writeRoster(
  path: string,
  group: BenchGroup,
  chips: readonly Chip[],
  rows: number,
): Promise<void> {
  const lines = `${path}.lines`;
  const out = createWriteStream(lines);
  const hash = createHash('sha256');
  const step = Math.max(1, Math.floor(rows / Math.max(1, chips.length)));
  let bytes = 0;
  for (let first = 0; first < rows; first += LINES) {
    let text = '';
    for (let n = first; n < Math.min(rows, first + LINES); n++) {
      const chip = n % step === 0 ? chips[n / step] : undefined;
      const pseudonym = chip === undefined ? `04${randomBytes(64).toString('hex')}` : toHex(chip.pseudonym);
      text += `${JSON.stringify({
        ...{ serial: `GW-${String(n).padStart(8, '0')}`, member: randomBytes(32).toString('hex'), pseudonym },
        ...{ ek: 'verified', tpm: 'IBM', firmware: '7.85.4555.0', time: '2026-03-02T03:04:05.678Z' },
      })}\n`;
    }
    hash.update(text);
    bytes += text.length;
    if (!out.write(text)) await once(out, 'drain');
  }
  out.end();
  await finished(out);
  const { secret, publicKey } = generateMakerKey();
  const manifest = Buffer.from(
    JSON.stringify({
      ...{ format: 'enf-manifest-1', name: 'bench', gid: toHex(group.gid), devices: rows, unnamed: 0 },
      ...{ perBox: 20, sha256: hash.digest('hex'), bytes },
    }),
  );
  const signature = signAsMaker(secret, publicKey, manifest);
  writeFileSync(path, `${formatRosterHeader({ manifest, signature, maker: publicKey })}\n`);
  await finished(createReadStream(lines).pipe(createWriteStream(path, { flags: 'a' })));
}
