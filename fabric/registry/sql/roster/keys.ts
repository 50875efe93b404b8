import { toHex } from '../../../../protocol/bytes.ts';
import { Failure } from '../../../../protocol/failure.ts';
import type { Act } from '../../records.ts';
import { ownTurn } from '../../turns.ts';
import type { CommitQueue } from '../base/commit-queue.ts';
import { type Database, prepare } from '../base/statements.ts';
import { appendAudit } from '../trail/audit.ts';
import { recordChange } from '../trail/changes.ts';
import { dropRoster, findRoster, type Kept, keepMaker, type RosterGroup } from './rosters.ts';

/*
 * Pseudonyms are random: an index that each row wrote on its way would write a page for each. So their keys are written when all rows are there, in
 * runs that are sorted in memory, whose parts are neighbours in the index.
 */

/** Rows of a run: a megabyte of keys. */
const RUN = 65_536;
/** Rows that are read in one turn of the event loop. */
const READ = 4_000;
/** Keys of one commit: some milliseconds. */
const WRITTEN = 1_000;
/** Commits that are asked for at once. */
const AT_ONCE = 8;
const KEY_LENGTH = 8;
/** Devices of the group that are looked for in one commit. */
const COUNTED = 500;

interface Work {
  read<T>(work: () => T): T;
  readonly queue: CommitQueue;
}

/** Does the next run; after the last one it looks for the devices that are in already, and puts the roster in force. @throws Failure `roster.incomplete`, `roster.duplicate` */
export async function indexSome(
  db: Database,
  { read, queue }: Work,
  act: () => Act,
  group: RosterGroup,
): Promise<void> {
  const kept = read(() => findRoster(db, group.gid));
  if (kept === undefined || kept.whole === 0) throw incomplete();
  if (kept.in_force !== null) return;
  if (kept.indexed < kept.lines && (await indexRun(db, { read, queue }, kept)) < kept.lines) return;
  while (!(await queue.submit(() => countSome(db, act(), group, kept.id)))) await ownTurn();
}

/** Returns how many rows can be looked up then. */
async function indexRun(db: Database, { read, queue }: Work, { id, indexed, lines }: Kept): Promise<number> {
  const end = Math.min(lines, indexed + RUN);
  const keys = Buffer.alloc(KEY_LENGTH * RUN);
  const places = new Float64Array(RUN);
  let count = 0;
  for (let after = indexed; after < end; after += READ) {
    await ownTurn();
    for (const [line, key] of read(() => keysBehind(db, id, after, end))) {
      key.copy(keys, KEY_LENGTH * (line - indexed - 1));
      // What sorts it, and behind that which one it is, in 48 of the 53 bits that a number has.
      places[count++] = key.readUInt32BE(0) * RUN + (line - indexed - 1);
    }
  }
  const sorted = places.subarray(0, count).sort();
  const write = (first: number): Promise<Twice | undefined> =>
    queue.submit(() => writeKeys(db, id, indexed, keys, sorted.subarray(first, first + WRITTEN)));
  for (let first = 0; first < count; first += WRITTEN * AT_ONCE) {
    const places = Array.from({ length: AT_ONCE }, (_, i) => first + i * WRITTEN);
    const twice = (await Promise.all(places.map(write))).find((each) => each !== undefined);
    if (twice === undefined) continue;
    await queue.submit(() => dropRoster(db, id));
    throw duplicate(twice);
  }
  await queue.submit(
    () =>
      void prepare(db, 'UPDATE roster SET indexed = ? WHERE id = ? AND indexed = ?').run(end, id, indexed),
  );
  return end;
}

const keysBehind = (db: Database, id: number, after: number, end: number) =>
  prepare(
    db,
    `SELECT line, substr(pseudonym, 2, ${KEY_LENGTH}) FROM roster_row
     WHERE roster = ? AND line > ? AND line <= ? AND pseudonym IS NOT NULL`,
  )
    .raw()
    .all(id, after, Math.min(end, after + READ)) as [number, Buffer][];

/** Two lines with one key. */
type Twice = readonly [first: number, second: number];

/** Returns where one of the keys is another row's. What was written before the program ended is written as it was. */
function writeKeys(
  db: Database,
  id: number,
  before: number,
  keys: Buffer,
  places: Float64Array,
): Twice | undefined {
  const insert = prepare(db, 'INSERT INTO roster_key VALUES (?, ?, ?) ON CONFLICT DO NOTHING');
  for (const place of places) {
    const at = place % RUN;
    const key = keys.subarray(KEY_LENGTH * at, KEY_LENGTH * (at + 1));
    const line = before + at + 1;
    if (insert.run(id, key, line).changes === 1) continue;
    const held = prepare(db, 'SELECT line FROM roster_key WHERE roster = ? AND key = ?')
      .pluck()
      .get(id, key) as number;
    if (held !== line) return [Math.min(held, line), Math.max(held, line)];
  }
  return undefined;
}

/** Looks for some devices of the group on the roster; true if there were no more, and it is in force. @throws Failure `roster.incomplete` */
function countSome(db: Database, act: Act, { gid, name, owner }: RosterGroup, id: number): boolean {
  const kept = findRoster(db, gid);
  // Another one may have taken its place meanwhile.
  if (kept?.id !== id || kept.indexed < kept.lines) throw incomplete();
  if (kept.in_force !== null) return true;
  const rows = prepare(
    db,
    `SELECT id, EXISTS (SELECT 1 FROM roster_key AS k JOIN roster_row AS r ON r.roster = k.roster AND r.line = k.line
       WHERE k.roster = ? AND k.key = substr(device.pseudonym, 2, ${KEY_LENGTH}) AND r.pseudonym = device.pseudonym) AS listed
     FROM device WHERE gid = ? AND id > ? ORDER BY id LIMIT ${COUNTED}`,
  ).all(id, gid, kept.counted) as { id: number; listed: number }[];
  const outside = kept.outside + rows.filter(({ listed }) => listed === 0).length;
  prepare(db, 'UPDATE roster SET counted = ?, outside = ? WHERE id = ?').run(
    rows.at(-1)?.id ?? kept.counted,
    outside,
    id,
  );
  if (rows.length === COUNTED) return false;
  prepare(db, 'UPDATE roster SET in_force = ? WHERE id = ?').run(act.at, id);
  prepare(db, 'UPDATE grp SET roster = ?, maker = ? WHERE gid = ?').run(id, kept.maker, gid);
  keepMaker(db, owner, kept);
  recordChange(db, 'group', gid);
  appendAudit(db, {
    ...act,
    owner,
    action: 'roster.add',
    subject: toHex(gid),
    detail: {
      name,
      devices: kept.devices,
      maker: toHex(kept.maker),
      sha256: toHex(kept.sha256),
      ...(outside > 0 && { outside }),
      ...(kept.names === 1 && { names: true }),
    },
  });
  return true;
}

const incomplete = (): Failure =>
  new Failure('roster.incomplete', 'operator', 'not all of the roster has come', {
    action: 'Send the rest of it: "enf-fabric roster add" goes on where it was.',
  });

const duplicate = ([first, second]: Twice): Failure =>
  new Failure('roster.duplicate', 'operator', `lines ${first} and ${second} of the roster name one device`, {
    action: 'Ask the maker for a right one; nothing of this one is in force.',
  });
