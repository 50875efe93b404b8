import { type FileHandle, open } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { syncFolder, writeFailure } from './durable.ts';
import { readFailure } from './read.ts';

/** A line and where it begins, in bytes. */
export interface LineAt {
  readonly offset: number;
  readonly line: Uint8Array;
}

/**
 * A file of lines that only grows. Each line is on the disk when `append` returns; what a power cut left of a last line is cut off before the next one, and
 * was never reported as written. One program at a time may append.
 */
export interface LogFile {
  /** Which file it is: another one has another. */
  readonly id: string;
  /** Bytes, a torn last line left out. */
  readonly length: number;
  /** The line at an offset, without its end; undefined if no whole line of at most MAX_LINE bytes begins there. */
  lineAt(offset: number): Promise<Uint8Array | undefined>;
  /** The lines from an offset on. One that is longer than MAX_LINE comes cut. */
  lines(from: number): AsyncGenerator<LineAt>;
  /** Writes a line, durably; returns its offset. @throws Failure `os.disk-full`, `os.write-failed` */
  append(line: string): Promise<number>;
  close(): Promise<void>;
}

/** Bytes. */
export const MAX_LINE = 4_096;
const CHUNK = 65_536;
const NEWLINE = 0x0a;

/** What says that a file can only be read here. */
const READ_ONLY = ['EACCES', 'EPERM', 'EROFS'];

/**
 * Opens the file, which is made if it is missing (0600). One that can only be read is read, and `append` fails.
 * @throws Failure `os.write-failed`, `os.not-readable`
 */
export async function openLogFile(path: string): Promise<LogFile> {
  const file = await openEither(path);
  try {
    return await manage(path, file);
  } catch (error) {
    await file.close();
    throw error;
  }
}

async function openEither(path: string): Promise<FileHandle> {
  try {
    return await open(path, 'a+', 0o600);
  } catch (error) {
    const readable = READ_ONLY.includes((error as NodeJS.ErrnoException).code ?? '')
      ? await open(path, 'r').catch(() => undefined)
      : undefined;
    if (readable !== undefined) return readable;
    throw writeFailure(path, error);
  }
}

async function manage(path: string, file: FileHandle): Promise<LogFile> {
  const { size, dev, ino } = await file.stat();
  let length = await endOfLines(file, size);
  let torn = length < size;

  async function* lines(from: number): AsyncGenerator<LineAt> {
    let offset = from;
    let rest = Buffer.alloc(0);
    // Of the line that `rest` begins: what nobody gets, and is not kept.
    let skipped = 0;
    const end = length;
    for (let position = from; position < end; ) {
      const chunk = Buffer.alloc(Math.min(CHUNK, end - position));
      const { bytesRead } = await file.read(chunk, 0, chunk.length, position);
      if (bytesRead === 0) return;
      position += bytesRead;
      const bytes = Buffer.concat([rest, chunk.subarray(0, bytesRead)]);
      let start = 0;
      for (let at = bytes.indexOf(NEWLINE); at >= 0; at = bytes.indexOf(NEWLINE, start)) {
        yield { offset, line: bytes.subarray(start, Math.min(at, start + MAX_LINE)) };
        offset += at + 1 - start + skipped;
        skipped = 0;
        start = at + 1;
      }
      rest = bytes.subarray(start, start + MAX_LINE);
      skipped += bytes.length - start - rest.length;
    }
  }

  return {
    id: `${dev} ${ino}`,
    get length() {
      return length;
    },
    async lineAt(offset) {
      const bytes = Buffer.alloc(MAX_LINE + 1);
      const { bytesRead } = await file.read(bytes, 0, bytes.length, offset);
      const end = bytes.subarray(0, bytesRead).indexOf(NEWLINE);
      return end < 0 || offset + end >= length ? undefined : bytes.subarray(0, end);
    },
    async *lines(from) {
      try {
        yield* lines(from);
      } catch (error) {
        throw readFailure(path, 'file', error);
      }
    },
    async append(line) {
      const bytes = Buffer.from(`${line}\n`);
      if (bytes.length > MAX_LINE) throw new Error(`a line of ${bytes.length} bytes`);
      try {
        if (torn) await file.truncate(length);
        // Until the disk has it, nobody knows what of it is there.
        torn = true;
        await file.appendFile(bytes);
        await file.sync();
        if (length === 0) await syncFolder(dirname(resolve(path)));
      } catch (error) {
        throw writeFailure(path, error);
      }
      torn = false;
      length += bytes.length;
      return length - bytes.length;
    },
    close: () => file.close(),
  };
}

/** Where the last whole line ends: mostly at the end of the file. */
async function endOfLines(file: FileHandle, size: number): Promise<number> {
  for (let end = size; end > 0; ) {
    const start = Math.max(0, end - MAX_LINE);
    const chunk = Buffer.alloc(end - start);
    await file.read(chunk, 0, chunk.length, start);
    const last = chunk.lastIndexOf(NEWLINE);
    if (last >= 0) return start + last + 1;
    end = start;
  }
  return 0;
}
