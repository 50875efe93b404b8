import type { Group } from '../group/group.ts';
import { readRows, withJournal } from './journal.ts';
import type { Facts, Row } from './row.ts';

const COLUMNS = [
  'serial',
  'member',
  'pseudonym',
  'ek',
  'tpm',
  'firmware',
  'result',
  'failure',
  'message',
  'station',
  'operator',
  'serialFrom',
  'ekHash',
  'token',
  'resident',
] as const satisfies readonly (keyof Facts)[];

/** Lines of CSV (RFC 4180) with a header, or of JSON, one for each entry. `all`: not only devices. */
export async function* exportLines(
  group: Group,
  format: 'csv' | 'json',
  which: 'all' | 'passed',
): AsyncGenerator<string> {
  // What a former version left is taken over first.
  await withJournal(group, async () => {});
  if (format === 'csv') yield `time,${COLUMNS.join(',')}\r\n`;
  for await (const row of readRows(group, which))
    yield format === 'csv' ? csvLine(row) : `${JSON.stringify(row)}\n`;
}

const csvLine = (row: Row): string =>
  `${[row.time, ...COLUMNS.map((name) => String(row[name] ?? ''))].map(csvField).join(',')}\r\n`;

/** A text that a spreadsheet would take for a formula gets an apostrophe before it. */
function csvField(text: string): string {
  const safe = /^[=+\-@\t\r]/.test(text) ? `'${text}` : text;
  return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}
