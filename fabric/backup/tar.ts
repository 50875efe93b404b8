import { createHash } from 'node:crypto';
import { ascii, concat } from '../../protocol/bytes.ts';
import { type ByteReader, byteReader } from './byte-reader.ts';
import { damaged } from './failures.ts';

/*
 * A tar archive (POSIX ustar) of plain files. Written, and read as strictly: any other archive is refused. Its last file holds the SHA-256, in hex,
 * of everything before that file's header.
 */

/** One file of an archive. */
export interface Entry {
  readonly name: string;
  readonly size: number;
  /** Permissions. */
  readonly mode: number;
}

export interface Content extends Entry {
  readonly content: AsyncIterable<Uint8Array>;
}

const BLOCK = 512;
const END = new Uint8Array(2 * BLOCK);
/** What the size field can say: 8 GiB. */
export const LARGEST_FILE = 8 ** 11 - 1;
const LONGEST_NAME = 100;
const DIGEST_NAME = 'sha256';
const DIGEST_LENGTH = 65;

/** True for a relative path that leads nowhere but below the folder it is put in, and fits into a header. */
export function isSafeName(name: string): boolean {
  return (
    Buffer.byteLength(name) <= LONGEST_NAME &&
    !/[\p{Cc}\p{Cs}\\]/u.test(name) &&
    name !== DIGEST_NAME &&
    name.split('/').every((part) => part !== '' && part !== '.' && part !== '..')
  );
}

/** The bytes of an archive; each content has as many bytes as its entry says. */
export async function* packArchive(files: Iterable<Content>): AsyncGenerator<Uint8Array> {
  const digest = createHash('sha256');
  for (const file of files) {
    let left = file.size;
    const header = encodeHeader(file);
    digest.update(header);
    yield header;
    for await (const chunk of file.content) {
      left -= chunk.length;
      digest.update(chunk);
      yield chunk;
    }
    if (left !== 0) throw new Error(`${file.name} changed while it was read`);
    const padding = new Uint8Array(paddingOf(file.size));
    digest.update(padding);
    yield padding;
  }
  const last = ascii(`${digest.digest('hex')}\n`);
  yield encodeHeader({ name: DIGEST_NAME, size: last.length, mode: 0o600 });
  yield concat(last, new Uint8Array(paddingOf(last.length)), END);
}

/** An archive that is read from front to end. */
export interface ArchiveReader {
  /** The next file, whose content is read before the one behind it; undefined at the end, once the digest of it all was right. @throws Failure `backup.damaged` */
  next(): Promise<Entry | undefined>;
  /** The content of that file. */
  content(): AsyncGenerator<Uint8Array>;
}

export function archiveReader(source: AsyncIterable<Uint8Array>): ArchiveReader {
  const digest = createHash('sha256');
  const bytes = byteReader(source, (read) => digest.update(read));
  let current: Entry | undefined;
  return {
    async next() {
      const before = digest.copy().digest('hex');
      current = decodeHeader(await bytes.exactly(BLOCK));
      if (current.name !== DIGEST_NAME) return current;
      await checkEnd(bytes, current, before);
      return undefined;
    },
    async *content() {
      if (current === undefined) throw new Error('no file to read');
      yield* bytes.upTo(current.size);
      const padding = await bytes.exactly(paddingOf(current.size));
      if (padding.some((byte) => byte !== 0)) throw damaged(`there is something behind ${current.name}`);
    },
  };
}

async function checkEnd(bytes: ByteReader, { size }: Entry, digest: string): Promise<void> {
  if (size !== DIGEST_LENGTH) throw damaged('its digest is malformed');
  const rest = await bytes.exactly(DIGEST_LENGTH + paddingOf(DIGEST_LENGTH) + END.length);
  const expected = concat(ascii(`${digest}\n`), new Uint8Array(rest.length - DIGEST_LENGTH));
  if (!Buffer.from(rest).equals(expected)) throw damaged('its digest is another one');
  if (!(await bytes.atEnd())) throw damaged('there is something behind its end');
}

const paddingOf = (size: number): number => (BLOCK - (size % BLOCK)) % BLOCK;

const octal = (value: number, digits: number): string => `${value.toString(8).padStart(digits, '0')}\0`;

function encodeHeader({ name, size, mode }: Entry): Uint8Array {
  const header = Buffer.alloc(BLOCK);
  header.write(name, 0);
  header.write(octal(mode & 0o777, 7), 100);
  header.write(octal(0, 7), 108); // owner and group: nobody in particular
  header.write(octal(0, 7), 116);
  header.write(octal(size, 11), 124);
  header.write(octal(0, 11), 136); // time
  header.write('        ', 148); // the checksum counts as spaces
  header.write('0', 156); // a plain file
  header.write('ustar\x0000', 257);
  header.write(
    `${octal(
      header.reduce((sum, byte) => sum + byte, 0),
      6,
    )} `,
    148,
  );
  return new Uint8Array(header);
}

/** Only what `encodeHeader` makes, byte for byte. @throws Failure `backup.damaged` */
function decodeHeader(bytes: Uint8Array): Entry {
  const header = Buffer.from(bytes);
  const text = (from: number, length: number): string =>
    header.toString('utf8', from, from + length).replace(/\0.*$/s, '');
  const entry = {
    name: text(0, LONGEST_NAME),
    mode: Number.parseInt(text(100, 8), 8),
    size: Number.parseInt(text(124, 12), 8),
  };
  const known =
    (entry.name === DIGEST_NAME || isSafeName(entry.name)) &&
    Number.isSafeInteger(entry.size) &&
    Number.isSafeInteger(entry.mode) &&
    header.equals(encodeHeader(entry));
  if (!known) throw damaged('it has the header of no file of ours');
  return entry;
}
