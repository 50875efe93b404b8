import { useState } from 'preact/hooks';
import { type Problem, problemOf } from '../api/problem.ts';
import { count } from '../app/words.ts';
import { csvOf, type ExportRow, ndjsonOf } from './csv.ts';

const AT_ONCE = 500;
const MOST = 100_000;
const KEPT_MS = 60_000;

/** Reads a page of the list, as it is narrowed now. */
export type ReadRows = (page: { readonly limit: number; readonly after?: string }) => Promise<{
  readonly rows: readonly object[];
  readonly next?: string | undefined;
}>;

/** Saves a list as a file, page by page: the first 100,000 rows of it; for more there is the command line. */
export function Export({ name, read }: { readonly name: string; readonly read: ReadRows }) {
  const [rows, setRows] = useState<number>();
  const [problem, setProblem] = useState<Problem>();
  const save = async (kind: 'csv' | 'ndjson'): Promise<void> => {
    setProblem(undefined);
    try {
      const all = (await allOf(read, setRows)) as readonly ExportRow[];
      download(`${name}.${kind}`, kind === 'csv' ? csvOf(all) : ndjsonOf(all));
    } catch (error) {
      setProblem(problemOf(error));
    }
    setRows(undefined);
  };
  if (rows !== undefined) return <span role="status">{count(rows, 'row')} …</span>;
  return (
    <span class="export">
      {problem !== undefined && <span class="bad">{problem.message} </span>}
      Export{' '}
      <button type="button" class="link" onClick={() => void save('csv')}>
        CSV
      </button>
      <button type="button" class="link" onClick={() => void save('ndjson')}>
        NDJSON
      </button>
    </span>
  );
}

async function allOf(read: ReadRows, progress: (rows: number) => void): Promise<readonly object[]> {
  const all: object[] = [];
  let after: string | undefined;
  do {
    progress(all.length);
    const page = await read({ limit: AT_ONCE, ...(after !== undefined && { after }) });
    all.push(...page.rows);
    after = page.next;
  } while (after !== undefined && all.length < MOST);
  return all;
}

function download(name: string, text: string): void {
  const link = document.createElement('a');
  link.href = URL.createObjectURL(new Blob([text]));
  link.download = name;
  link.click();
  // The browser reads it after this.
  setTimeout(() => URL.revokeObjectURL(link.href), KEPT_MS);
}
