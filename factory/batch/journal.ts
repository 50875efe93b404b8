import { primitives } from '../../crypto/primitives.ts';
import { exists } from '../../os/files/folder.ts';
import { withLock } from '../../os/files/lock.ts';
import { type LineAt, type LogFile, openLogFile } from '../../os/files/log-file.ts';
import { moveIfThere } from '../../os/files/place.ts';
import { makeSlotFile, openSlotFile, type SlotFile } from '../../os/files/slot-file.ts';
import { toHex } from '../../protocol/bytes.ts';
import { Failure } from '../../protocol/failure.ts';
import { encodeUtf8 } from '../../protocol/utf8.ts';
import { GROUP_FILE, type Group } from '../group/group.ts';
import { type Facts, formatRow, hasCredential, parseRow, type Row } from './row.ts';
import { inTurns } from './turns.ts';

/** What a journal says in sum. Of a chip only its last entry counts. */
export interface Tally {
  /** Devices. */
  readonly passed: number;
  /** Boards that have a credential, and have not shown that it works, whatever failed since. */
  readonly issued: number;
  /** Chips that failed, by code; attempts at chips without a key count each. Beyond 60 codes: `other`. */
  readonly failed: Readonly<Record<string, number>>;
  /** Credentials by token; a token's boards stay counted when they pass. */
  readonly tokens: Readonly<Record<string, number>>;
  /** Lines that hold no entry: something else wrote into the file. */
  readonly damaged: number;
  /** Time of the first and of the last entry. */
  readonly first?: string | undefined;
  readonly last?: string | undefined;
}

/** A batch's journal, while no other program of this host has it. */
export interface Journal {
  readonly tally: Tally;
  readonly closed: boolean;
  /** @throws Failure `factory.batch-closed` */
  requireOpen(): void;
  /** The last entry of a device, by its member name or its serial number. */
  find(by: { readonly member: string } | { readonly serial: string }): Promise<Row | undefined>;
  /**
   * Adds an entry, durably, and returns it. A device that has passed keeps its entry, and that one is returned.
   * @throws Failure `factory.batch-closed`, `factory.serial-taken`, those of writing files
   */
  record(facts: Facts): Promise<Row>;
}

interface State {
  /** The bytes of the journal that are counted here and are in the index. */
  readonly covered: number;
  readonly keys: number;
  readonly tally: Tally;
  /** The last entry that is counted: where it begins, and its SHA-256 in hex. */
  readonly last?: { readonly offset: number; readonly hash: string } | undefined;
  /** Of how entries are counted: an index of another one is made again. */
  readonly version: typeof VERSION;
}

const INDEX = 'journal.index';
const VERSION = 2;
/** Beyond so many bytes that are not in the last checkpoint, there is another: opening reads that much at most. */
const CHECKPOINT_BYTES = 32_768;
/** The table has room for the keys of so many. */
const MOST_BEHIND = 2 * CHECKPOINT_BYTES;
const MAX_CODES = 60;
/** Tokens whose credentials a journal counts; no further one is good for any. */
export const MOST_COUNTED = 400;
/** Of a text; a pseudonym has 130. */
const MOST_CHARACTERS = 200;
const WAIT_MS = 120_000;
const EMPTY: State = {
  version: VERSION,
  covered: 0,
  keys: 0,
  tally: { passed: 0, issued: 0, failed: {}, tokens: {}, damaged: 0 },
};

/** So many in this process have a journal together, before other programs may. */
const MOST_TOGETHER = 32;

/**
 * Opens a batch's journal for `work`, and makes it if it is missing. Stations of one host may work on one batch: each change is alone.
 * The index beside it is made of the journal, and is made again if it is missing or damaged.
 * @throws Failure `factory.batch-busy`, those of `work` and of files
 */
export const withJournal = <T>(group: Group, work: (journal: Journal) => Promise<T>): Promise<T> =>
  inTurn(group.folder, async (journalOf) => work(await journalOf(group)));

const inTurn = inTurns<(group: Group) => Promise<Journal>>(MOST_TOGETHER, holding);

/** Holds the journal in a folder, as it is on the disk, alone on this host. @throws Failure `factory.batch-busy`, those of files */
async function holding(
  folder: string,
  work: (journalOf: (group: Group) => Promise<Journal>) => Promise<void>,
): Promise<void> {
  const path = `${folder}/${GROUP_FILE.journal}`;
  const done = await withLock(path, WAIT_MS, async () => {
    // As it was called when it held devices alone.
    await moveIfThere(`${folder}/manifest.jsonl`, path);
    const log = await openLogFile(path);
    try {
      const index = `${folder}/${INDEX}`;
      const open = await openIndexed(index, log);
      try {
        await work((group) => manage(group, log, open));
      } finally {
        remember(index, open, log);
        await open.index.close();
      }
    } finally {
      await log.close();
    }
  });
  if (done !== undefined) return;
  throw new Failure(
    'factory.batch-busy',
    'retry',
    `another program has held the batch ${folder} for two minutes`,
    {
      action: 'Wait until it has exported or closed the batch, then try again.',
    },
  );
}

/** All entries in their order, or the devices alone, as they are now; others may add some meanwhile. @throws Failure as `withJournal` */
export async function* readRows(group: Group, which: 'all' | 'passed'): AsyncGenerator<Row> {
  const log = await openLogFile(`${group.folder}/${GROUP_FILE.journal}`);
  try {
    for await (const { line } of log.lines(0)) {
      const row = parseRow(line);
      if (row !== undefined && (which === 'all' || row.result === 'pass')) yield row;
    }
  } finally {
    await log.close();
  }
}

/** The journal's index, and the state that goes with the end of the journal. */
interface Indexed {
  index: SlotFile;
  state: State;
}

async function openIndexed(path: string, log: LogFile): Promise<Indexed> {
  const index = await openSlotFile(path);
  if (index === undefined) return rebuild(path, log, 0);
  const held = index.state as State;
  // A journal that is shorter than what was counted is another one; one that is much longer was written by something else, and one that has something
  // else where the last entry was had lines taken out.
  const behind = log.length - held.covered;
  if (
    held.version !== VERSION ||
    behind < 0 ||
    behind > MOST_BEHIND ||
    held.keys > index.room ||
    !(await endsWith(log, held.last))
  ) {
    await index.close();
    return rebuild(path, log, 2 * (held.keys || 0));
  }
  const open = { index, state: await catchUp(index, log, await newest(path, index, log, held)) };
  if (open.state.keys <= index.room) {
    if (open.state.covered - held.covered > CHECKPOINT_BYTES) await index.checkpoint(open.state);
    return open;
  }
  await index.close();
  return rebuild(path, log, 2 * open.state.keys);
}

/** How this process left some journals, so that it need not read again what it has put into their indexes. */
const left = new Map<string, { readonly index: string; readonly log: string; readonly state: State }>();
const MOST_LEFT = 16;

/** The state in which this process left an index, if it and its journal are the same files and what was counted is there; else that of its checkpoint. */
async function newest(path: string, index: SlotFile, log: LogFile, held: State): Promise<State> {
  const known = left.get(path);
  if (known === undefined || known.index !== index.id || known.log !== log.id) return held;
  const { covered, last } = known.state;
  return covered >= held.covered && covered <= log.length && (await endsWith(log, last)) ? known.state : held;
}

function remember(path: string, { index, state }: Indexed, log: LogFile): void {
  left.delete(path);
  left.set(path, { index: index.id, log: log.id, state });
  if (left.size > MOST_LEFT) left.delete(left.keys().next().value!);
}

async function endsWith(log: LogFile, last: State['last']): Promise<boolean> {
  if (last === undefined) return true;
  const line = await log.lineAt(last.offset);
  return line !== undefined && hashOf(line) === last.hash;
}

const hashOf = (line: Uint8Array): string => toHex(primitives.sha256(line));

async function rebuild(path: string, log: LogFile, room: number): Promise<Indexed> {
  // A line of ours has 200 bytes or more, and two keys.
  const most = Math.max(room, Math.ceil(log.length / 200));
  const index = await makeSlotFile(path, most, (table) => catchUp(table, log, EMPTY));
  return { index, state: index.state as State };
}

async function catchUp(index: SlotFile, log: LogFile, from: State): Promise<State> {
  let state = from;
  let last: LineAt | undefined;
  for await (const { offset, line } of log.lines(state.covered)) {
    const row = parseRow(line);
    if (row === undefined) {
      state = skip(state);
      continue;
    }
    state = await enter(index, log, state, row, offset);
    last = { offset, line: line.slice() };
  }
  return {
    ...state,
    covered: log.length,
    last: last === undefined ? state.last : { offset: last.offset, hash: hashOf(last.line) },
  };
}

const skip = (state: State): State => ({
  ...state,
  tally: { ...state.tally, damaged: state.tally.damaged + 1 },
});

/** Puts a row into the index and the tally. Both come out the same if it is done again. */
async function enter(index: SlotFile, log: LogFile, state: State, row: Row, offset: number): Promise<State> {
  const before = row.replaces === undefined ? undefined : await replacedBy(index, log, row, offset);
  let keys = state.keys;
  for (const key of keysOf(row)) {
    if (await put(index, log, key, row, offset)) keys++;
  }
  return { ...state, keys, tally: counted(state.tally, row, before) };
}

/** The entry whose place a row takes: where it says, or where it is since lines were taken out. */
async function replacedBy(
  index: SlotFile,
  log: LogFile,
  { member, replaces }: Row,
  offset: number,
): Promise<Row | undefined> {
  const there = await rowAt(log, replaces!);
  if (member === undefined || there?.member === member) return there;
  for await (const { value } of index.find(keyOf('member', member).hash)) {
    const row = value < offset ? await rowAt(log, value) : undefined;
    if (row?.member === member) return row;
  }
  return undefined;
}

/** Key and what it is made of, for a row's device and its serial number. A serial number of a failed attempt is free for another. */
interface Key {
  readonly hash: Uint8Array;
  readonly field: 'member' | 'serial';
}
const keyOf = (field: Key['field'], value: string): Key => ({
  hash: primitives.sha256(encodeUtf8(`${field}:${value}`)),
  field,
});

const keysOf = ({ member, serial, result }: Row): Key[] => [
  ...(member === undefined ? [] : [keyOf('member', member)]),
  ...(serial === undefined || result === 'fail' ? [] : [keyOf('serial', serial)]),
];

/** True if the key counts as one more. What a later run has put there already is as new. */
async function put(index: SlotFile, log: LogFile, key: Key, row: Row, offset: number): Promise<boolean> {
  for await (const { slot, value } of index.find(key.hash)) {
    if (value === offset) return true;
    if ((await rowAt(log, value))?.[key.field] !== row[key.field]) continue;
    if (value < offset) await index.put(key.hash, offset, slot);
    return false;
  }
  await index.put(key.hash, offset);
  return true;
}

async function rowAt(log: LogFile, offset: number): Promise<Row | undefined> {
  const line = await log.lineAt(offset);
  return line && parseRow(line);
}

function counted(tally: Tally, row: Row, before: Row | undefined): Tally {
  let { passed, issued, failed, tokens } = tally;
  const count = (row: Row, by: 1 | -1): void => {
    const { result, failure = 'unknown' } = row;
    if (result === 'pass') passed += by;
    else if (hasCredential(row)) issued += by;
    else failed = added(failed, codeIn(failed, failure), by);
  };
  if (before !== undefined) count(before, -1);
  count(row, 1);
  const { token } = row;
  if (
    token !== undefined &&
    token !== before?.token &&
    (token in tokens || Object.keys(tokens).length < MOST_COUNTED)
  )
    tokens = added(tokens, token, 1);
  return { ...tally, passed, issued, failed, tokens, first: tally.first ?? row.time, last: row.time };
}

/** The counts with one more or less; what comes to nothing is left out. */
function added(counts: Readonly<Record<string, number>>, name: string, by: 1 | -1): Record<string, number> {
  const { [name]: before = 0, ...others } = counts;
  return before + by === 0 ? others : { ...others, [name]: before + by };
}

const codeIn = (failed: Readonly<Record<string, number>>, code: string): string =>
  code in failed || Object.keys(failed).length < MAX_CODES ? code : 'other';

async function manage(group: Group, log: LogFile, open: Indexed): Promise<Journal> {
  const find = async (key: Key, value: string): Promise<{ row: Row; offset: number } | undefined> => {
    for await (const { value: offset } of open.index.find(key.hash)) {
      const row = await rowAt(log, offset);
      if (row?.[key.field] === value) return { row, offset };
    }
    return undefined;
  };
  /** A serial number is free again when the device that had it has failed since, or has another. */
  const requireFree = async (serial: string, holder: Row): Promise<void> => {
    const { member } = holder;
    const last = member === undefined ? holder : (await find(keyOf('member', member), member))?.row;
    if (last !== undefined && last.result !== 'fail' && last.serial === serial)
      throw serialTaken(serial, last);
  };
  const closed = await exists(`${group.folder}/${GROUP_FILE.manifest}`);
  const requireOpen = (): void => {
    if (closed) throw batchClosed(group);
  };
  return {
    get tally() {
      return open.state.tally;
    },
    closed,
    requireOpen,
    find: async (by) => {
      const [field, value] =
        'member' in by ? (['member', by.member] as const) : (['serial', by.serial] as const);
      return (await find(keyOf(field, value), value))?.row;
    },
    async record(facts) {
      const { member, serial } = facts;
      const before = member === undefined ? undefined : await find(keyOf('member', member), member);
      if (before !== undefined && settles(before.row, facts)) return before.row;
      requireOpen();
      if (serial !== undefined && facts.result !== 'fail') {
        const holder = await find(keyOf('serial', serial), serial);
        if (holder !== undefined && holder.row.member !== member) await requireFree(serial, holder.row);
      }
      const time = new Date().toISOString();
      const row: Row = {
        ...inherited(before?.row),
        ...said(facts),
        result: facts.result,
        issued: before?.row.issued ?? (facts.result === 'issued' ? time : undefined),
        time,
        gid: group.gid,
        replaces: before?.offset,
      };
      const line = formatRow(row);
      const offset = await log.append(line);
      const last = { offset, hash: hashOf(encodeUtf8(line)) };
      open.state = { ...(await enter(open.index, log, open.state, row, offset)), covered: log.length, last };
      return row;
    },
  };
}

/** True if the entry that is there says all that the new one would. */
const settles = (before: Row, facts: Facts): boolean =>
  before.result === 'pass' || (before.result === 'issued' && facts.result === 'issued');

/** What was known of a chip stays known. */
const inherited = (before: Row | undefined): Partial<Row> =>
  before === undefined
    ? {}
    : {
        serial: before.serial,
        serialFrom: before.serialFrom,
        ekHash: before.ekHash,
        pseudonym: before.pseudonym,
        resident: before.resident,
        token: before.token,
      };

/** What the facts name, nothing longer than a line can hold. */
const said = (facts: Facts): Partial<Facts> =>
  Object.fromEntries(
    Object.entries(facts).flatMap(([name, value]) =>
      value === undefined
        ? []
        : [[name, typeof value === 'string' ? value.slice(0, MOST_CHARACTERS) : value]],
    ),
  );

function batchClosed(group: Group): Failure {
  return new Failure(
    'factory.batch-closed',
    'operator',
    `the batch ${group.name} is closed: its manifest is signed`,
    {
      action:
        'Create a group for the next batch ("enf-factory group create"); a closed one takes no more devices.',
    },
  );
}

function serialTaken(serial: string, holder: Row): Failure {
  return new Failure(
    'factory.serial-taken',
    'operator',
    `the serial number ${serial} belongs to another device of this batch since ${holder.time}`,
    {
      action:
        'Check which of the two has the wrong label; "enf-factory batch export --json" lists all of them.',
    },
  );
}
