import type { Scope } from '../../../access/scope.ts';
import { ownTurn } from '../../turns.ts';
import { type Database, prepare } from '../base/statements.ts';
import { groupValues } from './group-values.ts';

/**
 * The last four groups of the addresses of all devices, in memory: 36 bytes a device. So a part of an address is found without an index that each
 * admission would have to write. A row keeps its address for ever, and new rows are read when somebody searches.
 */
export interface Tails {
  /** For each part up to `most` ids of devices behind `after` whose address has that in its last four groups, in order. */
  find(parts: readonly Part[], sought: Sought): Promise<number[][]>;
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
/** In one turn of the event loop so many chunks are searched, or devices looked at if that is less: at most a few milliseconds. */
const CHUNKS_AT_ONCE = 6;
const LOOKED_AT = 4_096;
const GROUPS = 4;

interface Chunk {
  /** Four of each device. */
  readonly groups: Uint16Array;
  readonly ids: Float64Array;
  readonly owners: Uint32Array;
  count: number;
  /** Of a chunk that is full. */
  byValue?: Sorted;
}

/** The groups of a chunk by value, and the row that each is in. */
interface Sorted {
  readonly values: Uint16Array;
  readonly rows: Uint16Array;
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
    for (let i = 0; i < GROUPS; i++) chunk.groups[chunk.count * GROUPS + i] = identifier.readUInt16BE(2 * i);
    chunk.owners[chunk.count] = owner;
    chunk.ids[chunk.count++] = id;
    if (chunk.count === CHUNK) chunk.byValue = sorted(chunk.groups);
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

  async function search(part: Part, sought: Sought): Promise<number[]> {
    const { after, most } = sought;
    const found: number[] = [];
    const values = 'text' in part ? groupValues(part.text) : [part.lastGroup];
    let [searched, looked] = [0, 0];
    for (const chunk of chunks) {
      if (searched === CHUNKS_AT_ONCE || looked >= LOOKED_AT) {
        await ownTurn();
        [searched, looked] = [0, 0];
      }
      searched++;
      if (chunk.ids[chunk.count - 1]! > after) looked += collect(chunk, { part, values }, sought, found);
      if (found.length === most) break;
    }
    return found;
  }

  const tails: Tails = {
    fill(pause = ownTurn) {
      filling ??= fill(pause).finally(() => {
        filling = undefined;
      });
      return filling;
    },
    async find(parts, sought) {
      if (parts.length === 0) return [];
      await tails.fill();
      const found: number[][] = [];
      for (const part of parts) found.push(await search(part, sought));
      return found;
    },
  };
  return tails;
}

const emptyChunk = (): Chunk => ({
  groups: new Uint16Array(CHUNK * GROUPS),
  ids: new Float64Array(CHUNK),
  owners: new Uint32Array(CHUNK),
  count: 0,
});

/** By counting: a chunk is sorted in about a millisecond. */
function sorted(groups: Uint16Array): Sorted {
  const ends = new Uint32Array(0x1_0000);
  for (const value of groups) ends[value]!++;
  let end = 0;
  for (let value = 0; value < ends.length; value++) {
    end += ends[value]!;
    ends[value] = end;
  }
  const by = { values: new Uint16Array(groups.length), rows: new Uint16Array(groups.length) };
  for (let i = groups.length - 1; i >= 0; i--) {
    const at = --ends[groups[i]!]!;
    by.values[at] = groups[i]!;
    by.rows[at] = Math.floor(i / GROUPS);
  }
  return by;
}

/** What is looked for, and the values one of which a group of it has; undefined: any. */
interface Wanted {
  readonly part: Part;
  readonly values: readonly number[] | undefined;
}

/** Adds what it finds in a chunk to `found`. Returns how many devices it has looked at. */
function collect(
  chunk: Chunk,
  { part, values }: Wanted,
  { after, most, scope }: Sought,
  found: number[],
): number {
  const { ids, owners, count } = chunk;
  const candidates = candidatesIn(chunk, values);
  let looked = 0;
  let row = candidates.indexOf(1, indexBehind(chunk, after));
  while (row >= 0 && row < count && found.length < most) {
    if ((scope.everything || owners[row] === scope.owner) && has(chunk, row, part)) found.push(ids[row]!);
    row = candidates.indexOf(1, row + 1);
    looked++;
  }
  return looked;
}

/** A byte for each row: 1 if one of its groups has one of the values. It holds until the next call. */
function candidatesIn(chunk: Chunk, values: readonly number[] | undefined): Uint8Array {
  const { byValue, groups, count } = chunk;
  if (values === undefined) return CANDIDATES.fill(1);
  CANDIDATES.fill(0);
  if (byValue === undefined) {
    const wanted = new Uint8Array(0x1_0000);
    for (const value of values) wanted[value] = 1;
    for (let i = 0; i < count * GROUPS; i++) {
      if (wanted[groups[i]!] === 1) CANDIDATES[Math.floor(i / GROUPS)] = 1;
    }
    return CANDIDATES;
  }
  for (const value of values) {
    for (let i = firstOf(byValue.values, value); byValue.values[i] === value; i++)
      CANDIDATES[byValue.rows[i]!] = 1;
  }
  return CANDIDATES;
}

const CANDIDATES = new Uint8Array(CHUNK);

function has({ groups }: Chunk, row: number, part: Part): boolean {
  const first = row * GROUPS;
  return 'text' in part
    ? printed(groups, first).includes(part.text)
    : groups[first + GROUPS - 1] === part.lastGroup;
}

/** Where the value stands first among sorted ones, or would. */
function firstOf(values: Uint16Array, value: number): number {
  let [low, high] = [0, values.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (values[middle]! < value) low = middle + 1;
    else high = middle;
  }
  return low;
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

/** The four groups from `first` on, a colon before each. */
const printed = (groups: Uint16Array, first: number): string =>
  [0, 1, 2, 3].map((i) => `:${groups[first + i]!.toString(16)}`).join('');
