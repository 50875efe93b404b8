import type { Database } from 'better-sqlite3';
import type { Scope } from '../../../access/scope.ts';
import { ownTurn } from '../../turns.ts';
import { prepare } from '../file/statements.ts';

/**
 * The last four groups of the addresses of all devices, as they are printed, in memory: 33 bytes a device. So a part of an address is found without
 * an index that each admission would have to write. A row keeps its address for ever, and new rows are read when somebody searches.
 */
export interface Tails {
  /** Up to `most` ids of devices behind `after` whose address has `text` in its last four groups, in order. */
  find(text: string, sought: Sought): Promise<number[]>;
  /** Reads what is not known yet. */
  fill(pause?: () => Promise<unknown>): Promise<void>;
}

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
      const text = Buffer.alloc(CHUNK * WIDTH, NO_TEXT);
      chunk = { text, ids: new Float64Array(CHUNK), owners: new Uint32Array(CHUNK), count: 0 };
      chunks.push(chunk);
    }
    chunk.text.write(printed(identifier), chunk.count * WIDTH, 'latin1');
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
    async find(text, sought) {
      const { after, most } = sought;
      await tails.fill();
      const found: number[] = [];
      for (const [i, chunk] of chunks.entries()) {
        if (chunk.ids[chunk.count - 1]! > after) collect(chunk, text, sought, found);
        if (found.length === most) break;
        if (i % CHUNKS_AT_ONCE === CHUNKS_AT_ONCE - 1) await ownTurn();
      }
      return found;
    },
  };
  return tails;
}

function collect(
  { text, ids, owners, count }: Chunk,
  wanted: string,
  { after, most, scope }: Sought,
  found: number[],
): void {
  let from = indexBehind(ids, count, after) * WIDTH;
  while (found.length < most) {
    const at = text.indexOf(wanted, from, 'latin1');
    if (at === -1) return;
    const row = Math.floor(at / WIDTH);
    if (scope.everything || owners[row] === scope.owner) found.push(ids[row]!);
    from = (row + 1) * WIDTH;
  }
}

/** The first of `count` ids, which ascend, that is greater than `after`. */
function indexBehind(ids: Float64Array, count: number, after: number): number {
  let [low, high] = [0, count];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (ids[middle]! > after) high = middle;
    else low = middle + 1;
  }
  return low;
}

/** What `find` is asked for a whole last group, of two bytes. */
export const lastGroup = (group: Uint8Array): string =>
  `:${Buffer.from(group).readUInt16BE(0).toString(16)}${String.fromCharCode(NO_TEXT)}`;

const printed = (identifier: Buffer): string =>
  [0, 2, 4, 6].map((at) => `:${identifier.readUInt16BE(at).toString(16)}`).join('');
