import { Readable } from 'node:stream';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { TSchema } from 'typebox';
import { Failure } from '../../protocol/failure.ts';
import type { Seen } from '../account/own.ts';
import { cellsOf, columnsOf, csvLine } from '../operations/contract/csv.ts';
import { MOST_ROWS } from '../operations/contract/operation.ts';
import { type Callers, callerKey } from './callers.ts';
import { type ApiOptions, ask, type Caller } from './options.ts';
import { badRequest, inputOf } from './request-input.ts';
import { isList, type Route } from './routes.ts';

/** How a list can be had as a whole. */
export const EXPORT_FORMATS = ['csv', 'ndjson'] as const;
type Format = (typeof EXPORT_FORMATS)[number];

export const EXPORT_TYPES: Readonly<Record<Format, string>> = {
  csv: 'text/csv',
  ndjson: 'application/x-ndjson',
};

/** Exports under way, and of those of one owner, if there are several, and of one token or session. */
const MOST = 8;
const MOST_OF_OWNER = 4;
const MOST_OF_ONE = 2;
/** Rows that one may ask for. */
const MOST_ASKED = 999_999_999;

/** Answers requests for whole lists. */
export interface Exports {
  /**
   * Answers with the list as a stream, if the request asks for one: `format` in its query, or else what it accepts; undefined if it does not. One page
   * is in memory at a time, and the next is read when the reader has taken it. The caller has to hold and to be permitted for each page, else the
   * answer ends before its end.
   * @throws Failure `request.too-many-exports`, `request.malformed`, and those of the operation, before anything is sent
   */
  answer(route: Route, request: FastifyRequest, reply: FastifyReply): Promise<Readable> | undefined;
}

export function exportsOf(app: FastifyInstance, options: ApiOptions, callers: Callers): Exports {
  const open = new Map<FastifyReply, { readonly key: string; readonly owner: number | null }>();

  // What has not ended would hold up the end of the program.
  app.addHook('preClose', async () => {
    for (const { raw } of open.keys()) raw.destroy();
  });

  async function begin(request: FastifyRequest, reply: FastifyReply, caller: Caller): Promise<void> {
    const { owner } = await ask<Seen>(options, 'seen', caller, {});
    const key = callerKey(callers, request, caller);
    const count = (which: (of: { key: string; owner: number | null }) => boolean): number =>
      [...open.values()].filter(which).length;
    if (
      open.size >= MOST ||
      count((of) => of.key === key) >= MOST_OF_ONE ||
      (owner !== null && count((of) => of.owner === owner) >= MOST_OF_OWNER)
    )
      throw tooManyExports();
    if (reply.raw.destroyed) return;
    open.set(reply, { key, owner });
    reply.raw.once('close', () => open.delete(reply));
  }

  return {
    answer(route, request, reply) {
      const format = formatOf(route, request);
      if (format === undefined) return undefined;
      const caller = callers.of(request);
      const { limit, ...input } = inputOf(route, request);
      const isBounded = Object.hasOwn(request.query as object, 'limit');
      const most = isBounded ? wanted(limit) : Number.POSITIVE_INFINITY;
      const pages = pagesOf(options, { route, caller, input, most, holds: () => callers.holds(request) });
      return begin(request, reply, caller).then(() => started(reply, route, format, pages));
    },
  };
}

/** The format that a request asks for; undefined: a page as JSON. @throws Failure `request.malformed` */
function formatOf(route: Route, { method, query, headers }: FastifyRequest): Format | undefined {
  // A HEAD would read the whole list for nothing.
  if (!isList(route) || method !== 'GET') return undefined;
  const { format } = query as { format?: unknown };
  if (format === undefined) return accepted(headers.accept ?? '');
  const known = EXPORT_FORMATS.find((each) => each === format);
  if (known === undefined && format !== 'json') throw badRequest('format is json, csv or ndjson');
  return known;
}

/** The first type that is named, if it is one of an export: browsers and programs that take anything get JSON. */
function accepted(accept: string): Format | undefined {
  const first = accept.split(',')[0]!.split(';')[0]!.trim().toLowerCase();
  return EXPORT_FORMATS.find((format) => EXPORT_TYPES[format] === first);
}

function wanted(limit: unknown): number {
  if (typeof limit === 'number' && limit >= 1 && limit <= MOST_ASKED) return limit;
  throw badRequest(`limit is 1 to ${MOST_ASKED}`);
}

interface Rows {
  readonly rows: readonly object[];
  readonly next?: string;
}

interface Asked {
  readonly route: Route;
  readonly caller: Caller;
  readonly input: object;
  /** Rows. */
  readonly most: number;
  /** Has nobody signed out meanwhile? */
  readonly holds: () => boolean;
}

async function* pagesOf(
  options: ApiOptions,
  { route, caller, input, most, holds }: Asked,
): AsyncGenerator<readonly object[], void> {
  let [left, after]: [number, string | undefined] = [most, undefined];
  do {
    if (!holds()) throw new Error('signed out');
    const limit = Math.min(left, MOST_ROWS);
    const page: Rows = await ask<Rows>(options, route.name, caller, {
      ...input,
      limit,
      ...(after !== undefined && { after }),
    });
    yield page.rows;
    left -= page.rows.length;
    after = page.next;
  } while (after !== undefined && left > 0);
}

/** The stream, once its first page is there: a refusal has its own status. */
async function started(
  reply: FastifyReply,
  route: Route,
  format: Format,
  pages: AsyncGenerator<readonly object[], void>,
): Promise<Readable> {
  const first = await pages.next();
  const columns = columnsOf(rowOf(route.answer));
  const textOf = (rows: readonly object[]): string =>
    rows
      .map((row) => (format === 'csv' ? csvLine(cellsOf(row, columns)) : `${JSON.stringify(row)}\n`))
      .join('');
  async function* texts(): AsyncGenerator<string, void> {
    if (format === 'csv') yield csvLine(columns.map((column) => column.join('.')));
    if (!first.done && first.value.length > 0) yield textOf(first.value);
    for await (const rows of pages) if (rows.length > 0) yield textOf(rows);
  }
  const file = `${route.path.slice(route.path.lastIndexOf('/') + 1)}.${format}`;
  reply.type(`${EXPORT_TYPES[format]}; charset=utf-8${format === 'csv' ? '; header=present' : ''}`);
  reply.header('content-disposition', `attachment; filename="${file}"`);
  return Readable.from(texts(), { objectMode: false, highWaterMark: 1 });
}

/** The schema of a row of a page. */
const rowOf = (page: TSchema): TSchema =>
  (page as unknown as { properties: { rows: { items: TSchema } } }).properties.rows.items;

const tooManyExports = (): Failure =>
  new Failure('request.too-many-exports', 'retry', 'too many lists are being exported', {
    action: `Wait until one has ended: ${MOST_OF_ONE} for each token or session, ${MOST_OF_OWNER} for each of several owners, ${MOST} in all.`,
  });
