import { type FileHandle, open, rename, rm } from 'node:fs/promises';
import { crc32 } from '../../protocol/crc32.ts';
import { writeFailure } from './durable.ts';

/**
 * A hash table in a file: from the first 8 bytes of a hash to a number below 2^48. It is made of something else and can be made again, so it is flushed
 * only at `checkpoint`: after a power cut it is as it was there, or newer. What it finds has to be looked at: different hashes may begin alike.
 */
export interface SlotFile {
  /** Which file it is: another one, or none, has another. */
  readonly id: string;
  /** What was given at the last checkpoint; undefined if there was none, or it is damaged. */
  readonly state: unknown;
  /** The numbers under the key of 8 bytes. */
  find(key: Uint8Array): AsyncGenerator<{ readonly slot: number; readonly value: number }>;
  /** Puts a number into a slot that `find` gave, or a new one. */
  put(key: Uint8Array, value: number, slot?: number): Promise<void>;
  /** Flushes the table, then the state (JSON). */
  checkpoint(state: unknown): Promise<void>;
  /** How many numbers it should hold at most; beyond, make it anew with more slots. */
  readonly room: number;
  close(): Promise<void>;
}

// A page of header: JSON { slots, state } after its CRC-32 (4 bytes) and length (4 bytes). Then the slots, 16 bytes each: key, number + 1.
const HEADER = 16_384;
const SLOT = 16;
const MOST_FULL = 0.7;

interface Store {
  read(slot: number): Promise<Buffer>;
  write(slot: number, bytes: Buffer): Promise<void>;
}

/** The table in the file, or undefined if there is none that is whole. */
export async function openSlotFile(path: string): Promise<SlotFile | undefined> {
  const file = await open(path, 'r+').catch(() => undefined);
  if (file === undefined) return undefined;
  const header = await readHeader(file);
  const { size, dev, ino } = await file.stat();
  if (header === undefined || size !== HEADER + header.slots * SLOT) {
    await file.close();
    return undefined;
  }
  return table(path, { file, id: `${dev} ${ino}` }, storeIn(file), header);
}

/** So much is read at once, and kept while the file is open: whoever has opened it has it alone. */
const PAGE = 4_096;
const MOST_PAGES = 256;

function storeIn(file: FileHandle): Store {
  const pages = new Map<number, Buffer>();
  async function pageOf(slot: number): Promise<Buffer> {
    const number = Math.floor((slot * SLOT) / PAGE);
    const known = pages.get(number);
    if (known !== undefined) return known;
    const page = Buffer.alloc(PAGE);
    await file.read(page, 0, PAGE, HEADER + number * PAGE);
    if (pages.size >= MOST_PAGES) pages.clear();
    pages.set(number, page);
    return page;
  }
  const within = (slot: number): number => (slot * SLOT) % PAGE;
  return {
    async read(slot) {
      const at = within(slot);
      return (await pageOf(slot)).subarray(at, at + SLOT);
    },
    async write(slot, bytes) {
      const page = await pageOf(slot);
      await file.write(bytes, 0, SLOT, HEADER + slot * SLOT);
      bytes.copy(page, within(slot));
    },
  };
}

/**
 * Makes a table with this much room, filled by `fill` in memory, with the state that `fill` returns, in place of the one in the file. Where no file
 * can be written it is only in memory.
 * @throws Failure `os.disk-full`
 */
export async function makeSlotFile(
  path: string,
  room: number,
  fill: (table: SlotFile) => Promise<unknown>,
): Promise<SlotFile> {
  const slots = 2 ** Math.ceil(Math.log2(Math.max(room / MOST_FULL, 2_048)));
  const bytes = Buffer.alloc(slots * SLOT);
  const store: Store = {
    read: async (slot) => bytes.subarray(slot * SLOT, (slot + 1) * SLOT),
    write: async (slot, content) => void content.copy(bytes, slot * SLOT),
  };
  const made = table(path, { file: undefined, id: 'memory' }, store, { slots, state: undefined });
  const state = await fill(made);
  try {
    await publish(path, encodeHeader({ slots, state }), bytes);
  } catch (error) {
    const failure = writeFailure(path, error);
    if (failure.code !== 'os.write-failed') throw failure;
    return { ...made, state };
  }
  const opened = await openSlotFile(path);
  if (opened === undefined) throw new Error(`${path} is not there although it was just made`);
  return opened;
}

async function publish(path: string, header: Buffer, slots: Buffer): Promise<void> {
  const temp = `${path}.new`;
  try {
    const file = await open(temp, 'w', 0o600);
    try {
      await file.writeFile(header);
      await file.writeFile(slots);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(temp, path);
  } catch (error) {
    // The name may not be ours to take away: then the first failure is what there is to say.
    await rm(temp, { force: true }).catch(() => {});
    throw error;
  }
}

interface Header {
  readonly slots: number;
  readonly state: unknown;
}

function table(
  path: string,
  { file, id }: { readonly file: FileHandle | undefined; readonly id: string },
  store: Store,
  header: Header,
): SlotFile {
  const { slots } = header;
  return {
    id,
    state: header.state,
    room: Math.floor(slots * MOST_FULL),
    async *find(key) {
      for (let i = first(key, slots), looked = 0; looked < slots; i = (i + 1) % slots, looked++) {
        const bytes = await store.read(i);
        const value = bytes.readUIntBE(10, 6);
        if (value === 0) return;
        if (bytes.subarray(0, 8).equals(key.subarray(0, 8))) yield { slot: i, value: value - 1 };
      }
    },
    async put(key, value, slot) {
      let i = slot ?? first(key, slots);
      if (slot === undefined) {
        let looked = 0;
        for (; (await store.read(i)).readUIntBE(10, 6) !== 0; i = (i + 1) % slots)
          if (++looked === slots) throw new Error('the table is full');
      }
      const bytes = Buffer.alloc(SLOT);
      bytes.set(key.subarray(0, 8));
      bytes.writeUIntBE(value + 1, 10, 6);
      await store.write(i, bytes);
    },
    async checkpoint(state) {
      if (file === undefined) return;
      try {
        await file.sync();
        await file.write(encodeHeader({ slots, state }), 0, HEADER, 0);
        await file.sync();
      } catch (error) {
        throw writeFailure(path, error);
      }
    },
    close: async () => file?.close(),
  };
}

const first = (key: Uint8Array, slots: number): number => Buffer.from(key).readUInt32BE(0) % slots;

function encodeHeader(header: Header): Buffer {
  const json = Buffer.from(JSON.stringify(header));
  if (json.length > HEADER - 8) throw new Error(`a state of ${json.length} bytes`);
  const bytes = Buffer.alloc(HEADER);
  bytes.writeUInt32BE(crc32(json), 0);
  bytes.writeUInt32BE(json.length, 4);
  json.copy(bytes, 8);
  return bytes;
}

async function readHeader(file: FileHandle): Promise<Header | undefined> {
  const bytes = Buffer.alloc(HEADER);
  const { bytesRead } = await file.read(bytes, 0, HEADER, 0);
  const length = bytes.readUInt32BE(4);
  if (bytesRead < HEADER || length > HEADER - 8) return undefined;
  const json = bytes.subarray(8, 8 + length);
  return crc32(json) === bytes.readUInt32BE(0) ? (JSON.parse(json.toString()) as Header) : undefined;
}
