import type { Invocation, Option } from '../../../cli/program.ts';
import { growingTable } from '../../../cli/table.ts';
import { printed } from '../../../os/service/process.ts';
import { Failure, isFailure } from '../../../protocol/failure.ts';
import { counted } from '../../../protocol/words.ts';
import { csvLine } from '../../operations/contract/csv.ts';
import type { PageInput, ReadOperation } from '../../operations/contract/operation.ts';
import { listOwners } from '../../operations/people/owners.ts';
import type { HandshakeCountView } from '../../operations/views/handshakes.ts';
import { eachPage, type Page, type PageRequest } from '../../registry/pages.ts';
import type { Fabric } from './context.ts';

/** Lists are read and printed page by page, so that a long one needs no more memory than a short one. */

/** Rows that are listed unless an option says otherwise. */
const LISTED = 1_500;
/** Rows of a page where a command reads the whole registry. */
const ROWS_AT_ONCE = 500;

export const LIMIT: Option = {
  name: 'limit',
  value: 'N',
  help: `how many to list at most (${LISTED})`,
};

export const AFTER: Option = {
  name: 'after',
  value: 'CURSOR',
  help: 'continue a list that has ended before its end, after the cursor that it printed',
};

export const CSV: Option = { name: 'csv', help: 'print comma-separated values (RFC 4180), for spreadsheets' };

export const ALL: Option = { name: 'all', help: 'list all, however many' };

export interface Columns<Row> {
  readonly header: readonly string[];
  cells(row: Row): readonly string[];
  /** One of them, and several. */
  readonly things: readonly [string, string];
  /** Printed instead of an empty table. */
  readonly none: string;
  /** Whose a row is; it has a column where that does not go without saying. Null: the host's. */
  owner?(row: Row): string | null;
}

/** Does a table show whose each row is: does whoever asks see what is of several owners? Who may not list them does not. */
export async function showsOwners(invocation: Invocation, fabric: Fabric): Promise<boolean> {
  if (invocation.flag('json') || invocation.option('owner') !== undefined) return false;
  try {
    return (await fabric.run(listOwners, { limit: 2 })).rows.length > 1;
  } catch (error) {
    if (isFailure(error, 'access.forbidden') || isFailure(error, 'access.not-whole')) return false;
    throw error;
  }
}

/** With the column of owners behind the others, if it is shown. */
async function shownColumns<Row>(
  invocation: Invocation,
  fabric: Fabric,
  columns: Columns<Row>,
): Promise<Columns<Row>> {
  const { header, cells, owner } = columns;
  if (owner === undefined || !(await showsOwners(invocation, fabric))) return columns;
  return {
    ...columns,
    header: [...header, 'OWNER'],
    cells: (row) => [...cells(row), owner(row) ?? '-'],
  };
}

/** Prints a list, narrowed by `filter`: a JSON array or a table. If it ends before its end, the cursor of the rows that follow goes to stderr. */
export async function printList<Row, Filter extends object>(
  invocation: Invocation,
  fabric: Fabric,
  list: ReadOperation<PageInput & Filter, Page<Row>>,
  columns: Columns<Row>,
  filter: Filter = {} as Filter,
): Promise<void> {
  const asked = requestedPages(invocation);
  const all = invocation.flag('all');
  if (all && asked.most !== undefined) throw limitAndAll();
  if (invocation.flag('csv') && invocation.flag('json')) throw csvAndJson();
  const print = printerFor(invocation, await shownColumns(invocation, fabric, columns));
  const pages: AsyncGenerator<Page<Row>> = all
    ? eachPage((page) => fabric.read(list, { ...filter, ...pageInput(page) }), {
        ...asked,
        atOnce: ROWS_AT_ONCE,
      })
    : eachPage((page) => fabric.run(list, { ...filter, ...pageInput(page) }), { most: LISTED, ...asked });
  let next: string | undefined;
  for await (const page of pages) {
    await print.rows(page.rows);
    next = page.next;
  }
  await print.end();
  printCursor(next);
}

function printerFor<Row>(invocation: Invocation, columns: Columns<Row>): Printer<Row> {
  if (invocation.flag('csv')) return csvPrinter(columns);
  return invocation.flag('json') ? jsonPrinter() : tablePrinter(columns);
}

const pageInput = ({ limit, after }: PageRequest): PageInput => ({ limit, after });

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
  rows(rows: readonly Row[]): Promise<void>;
  end(): Promise<void>;
}

/** The array as `JSON.stringify` indents it. */
function jsonPrinter<Row>(): Printer<Row> {
  let begun = false;
  return {
    async rows(rows) {
      if (rows.length === 0) return;
      // The elements without the brackets around them.
      const elements = JSON.stringify(rows, null, 2).slice(1, -2);
      await printed(`${begun ? ',' : '['}${elements}`);
      begun = true;
    },
    end: () => printed(begun ? '\n]\n' : '[]\n'),
  };
}

/** What a table shows as `-` is empty. */
function csvPrinter<Row>({ header, cells }: Columns<Row>): Printer<Row> {
  let begun = false;
  const lines = (rows: readonly (readonly string[])[]): string =>
    rows.map((row) => csvLine(row.map((cell) => (cell === '-' ? '' : cell)))).join('');
  return {
    async rows(rows) {
      await printed(lines([...(begun ? [] : [header]), ...rows.map(cells)]));
      begun = true;
    },
    end: () => printed(begun ? '' : lines([header])),
  };
}

function tablePrinter<Row>({ header, cells, none, things: [one, several] }: Columns<Row>): Printer<Row> {
  const table = growingTable(header);
  let count = 0;
  return {
    async rows(rows) {
      if (rows.length === 0) return;
      await printed(`${table(rows.map(cells))}\n`);
      count += rows.length;
    },
    async end() {
      if (count === 0) await printed(`${none}\n`);
      // Beside the table, so that a program that reads it sees rows alone.
      else process.stderr.write(`${counted(count, one, several)}.\n`);
    },
  };
}

/** A time of a view (ISO 8601 in UTC) in a table, to the second. */
export const when = (iso: string): string => `${iso.slice(0, 10)} ${iso.slice(11, 19)}Z`;

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

function csvAndJson(): Failure {
  return new Failure('cli.bad-option', 'operator', '--csv and --json are two forms of one list', {
    action: 'Give one of them.',
  });
}

function limitAndAll(): Failure {
  return new Failure('cli.bad-option', 'operator', '--all lists everything, --limit does not', {
    action: 'Give one of them.',
  });
}

/** Handshakes of which only the number is kept, e.g. "provisioned again 1,234 times between 2026-01-01 10:00:00 and …". */
export function countText({ result, times, first, last }: HandshakeCountView): string {
  const what = result === 'ok' ? 'provisioned again' : `refused (${result})`;
  const often = times === 1 ? 'once' : `${times.toLocaleString('en')} times`;
  return `${what} ${often} between ${when(first)} and ${when(last)}`;
}
