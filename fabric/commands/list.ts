import type { Invocation, Option } from '../../cli/program.ts';
import { growingTable, timeText } from '../../cli/table.ts';
import { Failure } from '../../protocol/failure.ts';
import { eachPage, type Page, type PageRequest } from '../registry/pages.ts';

/** Lists are read and printed page by page, so that a long one needs no more memory than a short one. */

export const LIMIT: Option = { name: 'limit', value: 'N', help: 'how many to list at most (all)' };

export const AFTER: Option = {
  name: 'after',
  value: 'CURSOR',
  help: 'continue a list that --limit has ended, after the cursor that it printed',
};

export interface Columns<Row> {
  readonly header: readonly string[];
  cells(row: Row): readonly string[];
  /** Printed instead of an empty table. */
  readonly none: string;
}

/** Prints a list: a JSON array or a table. With `--limit` the cursor of the rows that follow goes to stderr. */
export async function printList<Row>(
  invocation: Invocation,
  read: (page: PageRequest) => Promise<Page<Row>>,
  columns: Columns<Row>,
): Promise<void> {
  const print = invocation.flag('json') ? jsonPrinter<Row>() : tablePrinter(columns);
  let next: string | undefined;
  for await (const page of eachPage(read, requestedPages(invocation))) {
    print.rows(page.rows);
    next = page.next;
  }
  print.end();
  printCursor(next);
}

/** Tells how to go on with a list that was cut short. */
export function printCursor(next: string | undefined): void {
  if (next !== undefined) process.stderr.write(`There is more: --after ${next}\n`);
}

/** What `--limit` and `--after` ask for. @throws Failure `cli.bad-option` */
export function requestedPages(invocation: Invocation): { most?: number; after?: string | undefined } {
  const limit = invocation.option('limit');
  return { after: invocation.option('after'), ...(limit === undefined ? {} : { most: parseLimit(limit) }) };
}

interface Printer<Row> {
  rows(rows: readonly Row[]): void;
  end(): void;
}

/** The array as `JSON.stringify` indents it. */
function jsonPrinter<Row>(): Printer<Row> {
  let printed = 0;
  return {
    rows(rows) {
      const text = rows.map((row) => {
        const element = JSON.stringify(row, null, 2).replaceAll('\n', '\n  ');
        return `${printed++ === 0 ? '[' : ','}\n  ${element}`;
      });
      process.stdout.write(text.join(''));
    },
    end: () => void process.stdout.write(printed === 0 ? '[]\n' : '\n]\n'),
  };
}

function tablePrinter<Row>({ header, cells, none }: Columns<Row>): Printer<Row> {
  const table = growingTable(header);
  let printed = 0;
  return {
    rows(rows) {
      if (rows.length > 0) process.stdout.write(`${table(rows.map(cells))}\n`);
      printed += rows.length;
    },
    end() {
      if (printed === 0) process.stdout.write(`${none}\n`);
    },
  };
}

/** A time of a view in a table. */
export const when = (iso: string): string => timeText(Date.parse(iso));

function parseLimit(text: string): number {
  const limit = Number(text);
  if (/^\d{1,6}$/.test(text) && limit > 0) return limit;
  throw new Failure(
    'cli.bad-option',
    'operator',
    `--limit expects 1 to 999999, got ${JSON.stringify(text)}`,
    { action: 'Give --limit a whole number, or leave it out.' },
  );
}
