import { Failure } from '../../protocol/failure.ts';

/**
 * Keyset pages: a list is read in bounded pages by its key, so that neither a long list nor rows added meanwhile cost
 * more than a page does. The cursor is opaque to whoever reads the list.
 */
export interface PageRequest {
  /** Rows at most, at least 1. */
  readonly limit: number;
  /** The `next` of the page before; absent: the first page. */
  readonly after?: string | undefined;
}

export interface Page<Row> {
  readonly rows: readonly Row[];
  /** The cursor of the following page; undefined: there are no more rows. */
  readonly next: string | undefined;
}

/** Rows of one page where all of them are read. */
export const PAGE_ROWS = 200;

/** All rows of a list, read in pages of `atOnce`: at most `most` of them, from the cursor `after` on. */
export async function* eachPage<Row>(
  read: (page: PageRequest) => Promise<Page<Row>>,
  {
    after,
    most = Number.POSITIVE_INFINITY,
    atOnce = PAGE_ROWS,
  }: { after?: string | undefined; most?: number; atOnce?: number } = {},
): AsyncGenerator<Page<Row>> {
  let left = most;
  let cursor = after;
  do {
    const page = await read({ limit: Math.min(left, atOnce), after: cursor });
    yield page;
    left -= page.rows.length;
    cursor = page.next;
  } while (cursor !== undefined && left > 0);
}

/** Every row of a list, for callers that must see all of them. */
export async function* eachRow<Row>(read: (page: PageRequest) => Promise<Page<Row>>): AsyncGenerator<Row> {
  for await (const { rows } of eachPage(read)) yield* rows;
}

/**
 * The page of `rows`, of which one more than `limit` was read to learn whether there are more. `list` and the key of
 * the last row make the cursor.
 */
export function pageOf<Row>(
  list: string,
  { limit }: PageRequest,
  rows: readonly Row[],
  keyOf: (row: Row) => string | number,
): Page<Row> {
  if (rows.length <= limit) return { rows, next: undefined };
  const shown = rows.slice(0, limit);
  return { rows: shown, next: encodeCursor(list, String(keyOf(shown.at(-1)!))) };
}

/** The cursor behind a row of this list, by its key. */
export const cursorOf = (list: string, key: string | number): string => encodeCursor(list, String(key));

/** Rows of a short list that are looked at for those which fit. */
export const LOOKED_AT = 1_000;

/** The page of those of `rows` that fit, of which `LOOKED_AT` were read if there are as many. */
export function fittingPage<Row>(
  list: string,
  page: PageRequest,
  rows: readonly Row[],
  { fits, keyOf }: { fits: (row: Row) => boolean; keyOf: (row: Row) => string | number },
): Page<Row> {
  const found = pageOf(list, page, rows.filter(fits), keyOf);
  const looked = rows.length < LOOKED_AT ? undefined : cursorOf(list, keyOf(rows.at(-1)!));
  return { rows: found.rows, next: found.next ?? looked };
}

function encodeCursor(list: string, key: string): string {
  return Buffer.from(`${list}:${key}`).toString('base64url');
}

/** The key in a cursor of this list, which has to match `pattern`. @throws Failure `fabric.bad-cursor` */
export function parseCursor(list: string, cursor: string, pattern: RegExp): RegExpExecArray {
  const text = Buffer.from(cursor, 'base64url').toString();
  const found = text.startsWith(`${list}:`) ? pattern.exec(text.slice(list.length + 1)) : null;
  if (found !== null && encodeCursor(list, found[0]) === cursor) return found;
  throw new Failure(
    'fabric.bad-cursor',
    'operator',
    `there is no page after this cursor in the list of ${list}`,
    {
      action: 'Give the cursor as the page before named it, or none: then the list begins anew.',
    },
  );
}

/** The row number in a cursor of this list; undefined without a cursor. @throws Failure `fabric.bad-cursor` */
export function parseNumberCursor(list: string, cursor: string | undefined): number | undefined {
  return cursor === undefined ? undefined : Number(parseCursor(list, cursor, /^\d{1,15}$/)[0]);
}
