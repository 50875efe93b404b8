import type { Database } from 'better-sqlite3';
import type { Scope } from '../../../access/scope.ts';
import { ownTurn } from '../../turns.ts';
import { prepare } from '../file/statements.ts';

/**
 * The last four groups of the addresses of all devices, as they are printed, in memory: 35 bytes a device. So a part of an address is found without
 * an index that each admission would have to write. A row keeps its address for ever, and new rows are read when somebody searches.
 */
export interface Tails {
  /** Up to `most` ids of devices behind `after` whose address has that in its last four groups, in order. */
  find(part: Part, sought: Sought): Promise<number[]>;
  /** Reads what is not known yet. */
  fill(pause?: () => Promise<unknown>): Promise<void>;
}

/** A text that stands anywhere, or all of the last group. */
export type Part = { readonly text: string } | { readonly lastGroup: number };

interface Sought {
  readonly after: number;
  readonly most: number;
  readonly scope: Scope;
}

/** Rows that are read in one turn of the event loop: some milliseconds. */
const ROWS = 2_000;
/** Devices of one chunk. */
const CHUNK = 32_768;
/** Chunks that are searched in one turn of the event loop: 4 MB, two or three milliseconds. */
const CHUNKS_AT_ONCE = 6;
/** Bytes of a device: a colon before each of four groups, and one byte at least that no text has. */
const WIDTH = 21;
const NO_TEXT = 0x0a;

interface Chunk {
  readonly text: Buffer;
  readonly lastGroups: Uint16Array;
  readonly ids: Float64Array;
  readonly owners: Uint32Array;
  count: number;
}

export function tailsOf(db: Database, read: <T>(work: () => T) => T): Tails {
  const chunks: Chunk[] = [];
  let last = 0;
  let filling: Promise<void> | undefined;

  function append(id: number, identifier: Buffer, owner: number): void {
    let chunk = chunks.at(-1);
    if (chunk === undefined || chunk.count === CHUNK) {
      chunk = emptyChunk();
      chunks.push(chunk);
    }
    chunk.text.write(printed(identifier), chunk.count * WIDTH, 'latin1');
    chunk.lastGroups[chunk.count] = identifier.readUInt16BE(6);
    chunk.owners[chunk.count] = owner;
    chunk.ids[chunk.count++] = id;
    last = id;
  }

  /** True if there may be more. */
  function readSome(): boolean {
    const rows = prepare(
      db,
      `SELECT id, substr(address, 9), owner FROM device WHERE id > ? ORDER BY id LIMIT ${ROWS}`,
    )
      .raw()
      .all(last) as [number, Buffer, number][];
    for (const row of rows) append(...row);
    return rows.length === ROWS;
  }

  async function fill(pause: () => Promise<unknown>): Promise<void> {
    while (db.open && read(readSome)) await pause();
  }

  const tails: Tails = {
    fill(pause = ownTurn) {
      filling ??= fill(pause).finally(() => {
        filling = undefined;
      });
      return filling;
    },
    async find(part, sought) {
      const { after, most } = sought;
      await tails.fill();
      const found: number[] = [];
      for (const [i, chunk] of chunks.entries()) {
        if (chunk.ids[chunk.count - 1]! > after) collect(chunk, part, sought, found);
        if (found.length === most) break;
        if (i % CHUNKS_AT_ONCE === CHUNKS_AT_ONCE - 1) await ownTurn();
      }
      return found;
    },
  };
  return tails;
}

const emptyChunk = (): Chunk => ({
  text: Buffer.alloc(CHUNK * WIDTH, NO_TEXT),
  lastGroups: new Uint16Array(CHUNK),
  ids: new Float64Array(CHUNK),
  owners: new Uint32Array(CHUNK),
  count: 0,
});

function collect(chunk: Chunk, part: Part, { after, most, scope }: Sought, found: number[]): void {
  const { ids, owners } = chunk;
  let row = nextRow(chunk, part, indexBehind(chunk, after));
  while (row !== undefined && found.length < most) {
    if (scope.everything || owners[row] === scope.owner) found.push(ids[row]!);
    row = nextRow(chunk, part, row + 1);
  }
}

/** The first row from `from` on that has it. */
function nextRow({ text, lastGroups, count }: Chunk, part: Part, from: number): number | undefined {
  const row =
    'text' in part
      ? Math.floor(text.indexOf(part.text, from * WIDTH, 'latin1') / WIDTH)
      : lastGroups.indexOf(part.lastGroup, from);
  return row < 0 || row >= count ? undefined : row;
}

/** The first row whose id, which ascend, is greater than `after`. */
function indexBehind({ ids, count }: Chunk, after: number): number {
  let [low, high] = [0, count];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (ids[middle]! > after) high = middle;
    else low = middle + 1;
  }
  return low;
}

const printed = (identifier: Buffer): string =>
  [0, 2, 4, 6].map((at) => `:${identifier.readUInt16BE(at).toString(16)}`).join('');
