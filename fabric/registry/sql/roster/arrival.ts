import { createHash, type Hash } from 'node:crypto';
import { equal } from '../../../../protocol/bytes.ts';
import { Failure } from '../../../../protocol/failure.ts';
import { LONGEST_ROW, parseRosterRow } from '../../../../protocol/roster.ts';
import { serialKey } from '../../../../protocol/serial.ts';
import { ownTurn } from '../../turns.ts';
import type { CommitQueue } from '../base/commit-queue.ts';
import { bytes, type Database, prepare } from '../base/statements.ts';
import { dropRoster, type Kept } from './rosters.ts';

/*
 * Rows come in the order of the lines, and are kept little by little; what was signed is the hash of all of them, which is known at the end. So the
 * hash is computed again from the first byte on after a restart: what is kept already is compared with the hash that was kept beside it.
 */

/** Rows of one commit: some milliseconds. */
const ROWS = 500;
/** Rosters that arrive at the same time; who has waited longest begins again. */
const MOST_ARRIVING = 64;
const NEWLINE = 0x0a;

/** A roster that arrives. */
interface Arrival {
  /** As it was when it began to arrive here. */
  readonly kept: Kept;
  readonly hash: Hash;
  offset: number;
  /** Lines up to there, those included that were kept before. */
  lines: number;
  busy: boolean;
  /** The rows of the last part, and of the one before, are on the disk. */
  last: Promise<unknown>;
  earlier: Promise<unknown>;
}

/** The rosters that arrive in this process. */
export interface Arrivals {
  /** How many bytes of the roster have come since it was begun in this process; they are on the disk. */
  begin(kept: Kept): Promise<number>;
  /** Resolves when the next part may come; for the last one when all is on the disk. @throws Failure `roster.out-of-step`, `roster.bad-row`, `roster.changed` */
  add(id: number, offset: number, part: Uint8Array): Promise<number>;
}

interface Line {
  readonly pseudonym: Buffer | null;
  readonly serial: string | null;
  readonly resident: number | null;
}

export function rosterArrivals(db: Database, queue: CommitQueue): Arrivals {
  const arriving = new Map<number, Arrival>();

  /** Compares what is kept already. Returns the bytes behind it. */
  async function skip({ kept, hash, offset }: Arrival, part: Uint8Array): Promise<Uint8Array> {
    const known = part.subarray(0, Math.max(0, kept.received - offset));
    if (known.length === 0) return part;
    hash.update(known);
    if (offset + known.length === kept.received && !isHash(hash, kept.received_hash))
      throw await changed(kept, 'its beginning is not what came before');
    return part.subarray(known.length);
  }

  /** Hands rows over to be written. Returns when they are on the disk, without waiting for it. */
  async function keep(arrival: Arrival, begun: number, part: Uint8Array): Promise<readonly Promise<void>[]> {
    const { kept, hash } = arrival;
    const written: Promise<void>[] = [];
    try {
      for (const { begin, end, rows } of slicesOf(part, arrival.lines)) {
        await ownTurn();
        hash.update(part.subarray(begin, end));
        const before = arrival.lines;
        arrival.lines += rows.length;
        const offset = begun + end;
        const whole = offset === kept.bytes;
        if (whole && (arrival.lines !== kept.devices || !isHash(hash, kept.sha256)))
          throw await changed(kept, 'its lines are not those that the maker has signed');
        const received = { offset, hash: digest(hash), whole };
        const done = queue.submit(() => appendRows(db, kept.id, before, rows, received));
        // Whoever waits for all of them hears of it.
        done.catch(() => {});
        written.push(done);
      }
    } catch (error) {
      await Promise.allSettled([arrival.last, ...written]);
      throw error;
    }
    return written;
  }

  async function changed({ id }: Kept, why: string): Promise<Failure> {
    // Nobody knows which of the rows are right.
    await queue.submit(() => dropRoster(db, id));
    return new Failure('roster.changed', 'operator', `this is not the roster that was signed: ${why}`, {
      action: 'Ask the maker for the file again; nothing of this one is in force.',
    });
  }

  async function take(arrival: Arrival, part: Uint8Array): Promise<void> {
    const { kept, offset } = arrival;
    const end = offset + part.length;
    if (end > kept.bytes) throw await changed(kept, 'it is longer');
    const rest = await skip(arrival, part);
    await arrival.earlier;
    const written = await keep(arrival, end - rest.length, rest);
    arrival.offset = end;
    arrival.earlier = arrival.last;
    arrival.last = Promise.all(written);
    arrival.last.catch(() => arriving.delete(kept.id));
    if (end === kept.bytes) await Promise.all([arrival.earlier, arrival.last]);
  }

  return {
    async begin(kept) {
      const known = arriving.get(kept.id);
      if (known !== undefined) {
        await Promise.all([known.earlier, known.last]);
        return known.offset;
      }
      const done = Promise.resolve();
      arriving.set(kept.id, {
        ...{ kept, hash: createHash('sha256'), offset: 0, lines: kept.lines, busy: false },
        ...{ last: done, earlier: done },
      });
      if (arriving.size > MOST_ARRIVING) arriving.delete(arriving.keys().next().value!);
      return 0;
    },
    async add(id, offset, part) {
      const arrival = arriving.get(id);
      if (arrival === undefined || arrival.busy || arrival.offset !== offset) throw outOfStep();
      arrival.busy = true;
      try {
        await take(arrival, part);
      } catch (error) {
        // The hash may be ahead of what is kept.
        arriving.delete(id);
        throw error;
      }
      arrival.busy = false;
      if (arrival.offset === arrival.kept.bytes) arriving.delete(id);
      return arrival.offset;
    },
  };
}

const digest = (hash: Hash): Uint8Array => bytes(hash.copy().digest());
const isHash = (hash: Hash, expected: Uint8Array | null): boolean =>
  expected !== null && equal(digest(hash), bytes(expected));

/** The lines of a part, some at a time; `before`: lines that came before. @throws Failure `roster.bad-row` */
function* slicesOf(
  part: Uint8Array,
  before: number,
): Generator<{ readonly begin: number; readonly end: number; readonly rows: readonly Line[] }> {
  const text = Buffer.from(part.buffer, part.byteOffset, part.length);
  let [begin, at, line] = [0, 0, before];
  let rows: Line[] = [];
  while (at < text.length) {
    line++;
    const end = text.indexOf(NEWLINE, at);
    const row = end < 0 || end - at > LONGEST_ROW ? undefined : lineOf(text.toString('latin1', at, end));
    if (row === undefined) throw badRow(line);
    rows.push(row);
    at = end + 1;
    if (rows.length < ROWS && at < text.length) continue;
    yield { begin, end: at, rows };
    rows = [];
    begin = at;
  }
}

function lineOf(text: string): Line | undefined {
  const row = parseRosterRow(text);
  if (row === undefined) return undefined;
  const { pseudonym, serial = null, resident } = row;
  return {
    pseudonym: pseudonym === undefined ? null : Buffer.from(pseudonym, 'hex'),
    serial,
    resident: resident === undefined ? null : resident ? 1 : 0,
  };
}

/** Keeps rows behind the first `before` ones. @throws Failure `roster.out-of-step` if these are not all that are there */
function appendRows(
  db: Database,
  id: number,
  before: number,
  rows: readonly Line[],
  { offset, hash, whole }: { readonly offset: number; readonly hash: Uint8Array; readonly whole: boolean },
): void {
  const { changes } = prepare(
    db,
    `UPDATE roster SET received = ?, received_hash = ?, lines = lines + ?, whole = ?
     WHERE id = ? AND lines = ? AND gid IS NOT NULL`,
  ).run(offset, hash, rows.length, whole ? 1 : 0, id, before);
  if (changes === 0) throw outOfStep();
  const insert = prepare(
    db,
    'INSERT INTO roster_row (roster, line, pseudonym, serial, resident) VALUES (?, ?, ?, ?, ?)',
  );
  const name = prepare(db, 'INSERT INTO roster_serial VALUES (?, ?, ?)');
  rows.forEach(({ pseudonym, serial, resident }, i) => {
    const line = before + i + 1;
    insert.run(id, line, pseudonym, serial, resident);
    if (serial !== null) name.run(id, serialKey(serial), line);
  });
}

const badRow = (line: number): Failure =>
  new Failure('roster.bad-row', 'operator', `line ${line} of the roster names no device`, {
    action: 'Give the file as "enf-factory batch export --roster" wrote it; each part ends with a line.',
  });

const outOfStep = (): Failure =>
  new Failure('roster.out-of-step', 'retry', 'this is not the next part of the roster', {
    action: 'Begin again: the answer says where to go on. Two programs cannot send one roster.',
  });
