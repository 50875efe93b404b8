import type { Invocation, Option } from '../../cli/program.ts';
import { growingTable } from '../../cli/table.ts';
import { printed } from '../../os/service/process.ts';
import { Failure } from '../../protocol/failure.ts';
import type { PageInput, ReadOperation } from '../operations/operation.ts';
import { eachPage, type Page, type PageRequest } from '../registry/pages.ts';
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

export const ALL: Option = { name: 'all', help: 'list all, however many' };

export interface Columns<Row> {
  readonly header: readonly string[];
  cells(row: Row): readonly string[];
  /** Printed instead of an empty table. */
  readonly none: string;
}

/** Prints a list, narrowed by `filter`: a JSON array or a table. If it ends before its end, the cursor of the rows that follow goes to stderr. */
export async function printList<Row, Filter extends object>(
  invocation: Invocation,
  fabric: Fabric,
  list: ReadOperation<PageInput & Filter, Page<Row>>,
  columns: Columns<Row>,
  filter: Filter = {} as Filter,
): Promise<void> {
  const print = invocation.flag('json') ? jsonPrinter<Row>() : tablePrinter(columns);
  const asked = requestedPages(invocation);
  const all = invocation.flag('all');
  if (all && asked.most !== undefined) throw limitAndAll();
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

function tablePrinter<Row>({ header, cells, none }: Columns<Row>): Printer<Row> {
  const table = growingTable(header);
  let empty = true;
  return {
    async rows(rows) {
      if (rows.length === 0) return;
      await printed(`${table(rows.map(cells))}\n`);
      empty = false;
    },
    end: async () => (empty ? printed(`${none}\n`) : undefined),
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

function limitAndAll(): Failure {
  return new Failure('cli.bad-option', 'operator', '--all lists everything, --limit does not', {
    action: 'Give one of them.',
  });
}
