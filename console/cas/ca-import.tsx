import { useState } from 'preact/hooks';
import {
  LISTED_AT_ONCE,
  type ListedRow,
  readListed,
  type WrongLine,
} from '../../fabric/operations/contract/ca-files.ts';
import { run } from '../api/operations.ts';
import { Problem } from '../api/problem.ts';
import { count } from '../app/words.ts';
import { SmallFileField } from '../parts/field.tsx';
import { Sheet } from '../parts/sheet.tsx';
import type { CaSheetProps } from './ca-sheets.tsx';

const LARGEST_FILE = 16 * 1024 * 1024;
/** Lines that are shown. */
const MOST_WRONG = 8;
const TOO_OFTEN = 429;
const LATER_MS = 3_000;

/** Lists devices of a CA from a file. Nothing is sent before every line of it can be taken. */
export function ImportSheet({ ca, close, done }: CaSheetProps) {
  const [rows, setRows] = useState<readonly ListedRow[]>([]);
  const [wrong, setWrong] = useState<readonly WrongLine[]>([]);
  const [listed, setListed] = useState<number>();
  const take = (bytes: Uint8Array | undefined): void => {
    const read =
      bytes === undefined
        ? { rows: [], wrong: [{ line: 0, what: 'The file cannot be read, or is larger than 16 MB.' }] }
        : readListed(new TextDecoder().decode(bytes), ca.networks);
    setRows(read.rows);
    setWrong(read.wrong);
    setListed(undefined);
  };
  const act = async (): Promise<void> => {
    for (let at = 0; at < rows.length; at += LISTED_AT_ONCE) {
      setListed(at);
      await list(ca.id, rows.slice(at, at + LISTED_AT_ONCE));
    }
    done(`${count(rows.length, 'device')} listed.`);
  };
  return (
    <Sheet
      title="List devices"
      verb="List"
      ready={rows.length > 0 && wrong.length === 0}
      act={act}
      close={close}
    >
      <SmallFileField
        label="The list"
        accept=".csv,text/csv"
        most={LARGEST_FILE}
        take={take}
        hint="CSV with the columns address, and any of subject, serial and spki."
      />
      {wrong.length > 0 && <Wrong wrong={wrong} good={rows.length} />}
      {wrong.length === 0 && rows.length > 0 && (
        <p role="status">
          {listed === undefined
            ? `${count(rows.length, 'device')} in the file. A line for an address that is listed replaces the former one.`
            : `${listed.toLocaleString('en')} of ${count(rows.length, 'device')} listed …`}
        </p>
      )}
    </Sheet>
  );
}

/** The first lines that cannot be taken, and why. */
function Wrong({ wrong, good }: { readonly wrong: readonly WrongLine[]; readonly good: number }) {
  const more = wrong.length - MOST_WRONG;
  return (
    <div class="problem" role="alert">
      <p class="problem-title">
        {good === 0 ? 'Nothing of it can be taken.' : `${count(wrong.length, 'line')} cannot be taken.`}
      </p>
      <ul>
        {wrong.slice(0, MOST_WRONG).map(({ line, what }) => (
          <li key={line}>{line === 0 ? what : `Line ${line}: ${what}`}</li>
        ))}
      </ul>
      {more > 0 && <p>And {more.toLocaleString('en')} more.</p>}
      <p>Correct the file and choose it again; nothing was sent.</p>
    </div>
  );
}

/** Lists some, once the fabric takes requests again. */
async function list(id: number, devices: readonly ListedRow[]): Promise<void> {
  for (;;) {
    try {
      await run('pki-import', { id, devices });
      return;
    } catch (error) {
      if (!(error instanceof Problem) || error.status !== TOO_OFTEN) throw error;
      await new Promise((resolve) => setTimeout(resolve, LATER_MS));
    }
  }
}
