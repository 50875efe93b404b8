import { makerFingerprint } from '../../crypto/maker-key.ts';
import { readBounded, readChunks } from '../../os/files/read.ts';
import { equal } from '../../protocol/bytes.ts';
import { Failure, isFailure } from '../../protocol/failure.ts';
import { LONGEST_HEADER, LONGEST_ROW, parseRosterHeader } from '../../protocol/roster.ts';
import { decodeUtf8 } from '../../protocol/utf8.ts';
import { addRosterPart, beginRoster, indexRoster, LONGEST_PART } from '../operations/rosters.ts';
import type { RosterStatusView } from '../operations/views/rosters.ts';
import type { Fabric } from './common/context.ts';

/** A roster in a file: its first line, and where the others begin. */
export interface RosterFile {
  readonly path: string;
  readonly header: string;
  readonly start: number;
}

const NEWLINE = 0x0a;
const WHAT = 'roster';

/**
 * Reads the first line of a roster. `makerFile`: the public key of the maker that has to have signed it, PEM.
 * @throws Failure `roster.bad-header`, `roster.other-maker`, and those of reading files
 */
export async function openRosterFile(path: string, makerFile: string | undefined): Promise<RosterFile> {
  const header = await firstLine(path);
  const { maker } = parseRosterHeader(header);
  if (makerFile !== undefined) {
    const expected = decodeUtf8(await readBounded(makerFile, "maker's public key")) ?? '';
    if (!equal(makerFingerprint(expected), makerFingerprint(maker))) {
      throw new Failure(
        'roster.other-maker',
        'operator',
        `${path} is not signed with the key in ${makerFile}`,
        {
          action: 'Ask the maker for the roster of this batch; somebody else may have made this one.',
        },
      );
    }
  }
  return { path, header, start: header.length + 1 };
}

async function firstLine(path: string): Promise<string> {
  let text = '';
  for await (const chunk of readChunks(path, WHAT, { size: 2 * LONGEST_HEADER })) {
    text += Buffer.from(chunk).toString('latin1');
    const end = text.indexOf('\n');
    if (end >= 0) return text.slice(0, end);
    if (text.length > LONGEST_HEADER) return text;
  }
  return text;
}

/** How often it is begun again without having come further, and after how long. */
const ATTEMPTS = 5;
const PAUSE_MS = 1_000;

/** A roster for a group. */
interface Sent {
  readonly gid: string;
  readonly file: RosterFile;
  /** See `beginRoster`. */
  readonly names: boolean;
}

type InForce = { readonly view: RosterStatusView; readonly effect: string };

/**
 * Gives a group its roster, from where it is already, and waits until it is in force. What may go better the next time is tried again. `show` hears
 * how much of it is done, of 1.
 * @throws Failure those of the operations and of reading files
 */
export async function sendRoster(fabric: Fabric, sent: Sent, show: (part: number) => void): Promise<InForce> {
  let [furthest, failed] = [0, 0];
  for (;;) {
    let reached = 0;
    try {
      return await sendRest(fabric, sent, (part) => {
        reached = part;
        show(part);
      });
    } catch (error) {
      failed = reached > furthest ? 1 : failed + 1;
      furthest = Math.max(furthest, reached);
      if (!isFailure(error) || error.remedy !== 'retry' || failed === ATTEMPTS) throw error;
      await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
    }
  }
}

async function sendRest(
  fabric: Fabric,
  { gid, file, names }: Sent,
  show: (part: number) => void,
): Promise<InForce> {
  const begun = await fabric.run(beginRoster, { gid, header: file.header, names });
  let { offset } = begun;
  const { bytes = 0 } = begun.roster ?? {};
  for await (const part of partsBehind(file, offset, bytes)) {
    ({ offset } = await fabric.run(addRosterPart, { gid, offset, lines: part.toString('base64') }));
    show((0.7 * offset) / bytes);
  }
  for (;;) {
    const done = await fabric.run(indexRoster, { gid });
    const { roster } = done.view;
    if (roster?.state === 'in-force') return done;
    show(0.7 + 0.3 * ((roster?.indexed ?? 0) / Math.max(1, roster?.devices ?? 0)));
  }
}

/** The lines behind the first `offset` bytes, in parts that end with a line. */
async function* partsBehind(
  { path, start }: RosterFile,
  offset: number,
  bytes: number,
): AsyncGenerator<Buffer> {
  if (offset >= bytes) return;
  let rest: Buffer = Buffer.alloc(0);
  const size = LONGEST_PART - LONGEST_ROW;
  for await (const chunk of readChunks(path, WHAT, { start: start + offset, size })) {
    const read = Buffer.concat([rest, chunk]);
    const end = read.lastIndexOf(NEWLINE) + 1;
    // A line that does not end is for the fabric to refuse.
    const cut = end === 0 && read.length > LONGEST_ROW ? read.length : end;
    if (cut > 0) yield read.subarray(0, cut);
    rest = read.subarray(cut);
  }
  if (rest.length > 0) yield rest;
}
