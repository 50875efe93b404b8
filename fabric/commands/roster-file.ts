import { makerFingerprint } from '../../crypto/maker-key.ts';
import { readBounded, readChunks } from '../../os/files/read.ts';
import { equal } from '../../protocol/bytes.ts';
import { Failure, isFailure } from '../../protocol/failure.ts';
import { LONGEST_HEADER, parseRosterHeader } from '../../protocol/roster.ts';
import { decodeUtf8 } from '../../protocol/utf8.ts';
import { LONGEST_LINE, LONGEST_PART, uploadRoster } from '../operations/contract/roster-upload.ts';
import { addRosterPart, beginRoster, indexRoster } from '../operations/rosters.ts';
import type { RosterStatusView } from '../operations/views/rosters.ts';
import type { Fabric } from './common/context.ts';

/** A roster in a file: its first line, and where the others begin. */
export interface RosterFile {
  readonly path: string;
  readonly header: string;
  readonly start: number;
}

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
export const sendRoster = (
  fabric: Fabric,
  { gid, file, names }: Sent,
  show: (part: number) => void,
): Promise<InForce> =>
  uploadRoster({
    requests: {
      begin: () => fabric.run(beginRoster, { gid, header: file.header, names }),
      part: (offset, lines) =>
        fabric.run(addRosterPart, { gid, offset, lines: Buffer.from(lines).toString('base64') }),
      index: () => fabric.run(indexRoster, { gid }),
    },
    read: (offset) =>
      readChunks(file.path, WHAT, { start: file.start + offset, size: LONGEST_PART - LONGEST_LINE }),
    show,
    passes: (error) => isFailure(error) && error.remedy === 'retry',
  });
