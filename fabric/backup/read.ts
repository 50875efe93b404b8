import { type FileHandle, open } from 'node:fs/promises';
import { isSealedStream, openStream } from '../../crypto/sealed-stream.ts';
import { readChunks, readFailure } from '../../os/files/read.ts';
import { concat } from '../../protocol/bytes.ts';
import { Failure } from '../../protocol/failure.ts';
import { damaged, notABackup } from './failures.ts';
import { LARGEST_MANIFEST, MANIFEST_NAME, type Manifest, parseManifest } from './manifest.ts';
import { type Progress, watched } from './progress.ts';
import { type ArchiveReader, archiveReader, type Entry } from './tar.ts';

export interface ReadOptions {
  readonly passphrase?: Uint8Array | undefined;
  readonly progress: Progress;
}

/** Takes the content of one file. */
export type Take = (entry: Entry, content: AsyncIterable<Uint8Array>) => Promise<unknown>;

/** Takes nothing: reads over it. */
export const skip: Take = async (_, content) => {
  for await (const _bytes of content);
};

/** True if a backup cannot be read without its passphrase. @throws Failure `os.no-file`, `os.not-readable` */
export async function isEncrypted(path: string): Promise<boolean> {
  const { start } = await beginning(path);
  return isSealedStream(start);
}

/**
 * Reads a backup from front to end and gives each file to `take`. Only when this returns was all of it as it had been written.
 * @throws Failure `backup.not-a-backup`, `backup.damaged`, `backup.newer-format`, `backup.encrypted`, `backup.not-encrypted`, `os.wrong-passphrase`,
 *   `os.bad-container`, and those of `take`
 */
export async function readBackup(
  path: string,
  { passphrase, progress }: ReadOptions,
  take: Take,
): Promise<Manifest> {
  const { start, size } = await beginning(path);
  const sealed = isSealedStream(start);
  if (sealed !== (passphrase !== undefined)) throw sealed ? encrypted(path) : notEncrypted(path);
  const file = watched(readChunks(path, 'backup'), progress, 'reading the backup', size);
  const archive = archiveReader(sealed ? openStream(file, passphrase!) : file);
  const manifest = await readManifest(archive);
  for (const { name, size } of manifest.files) {
    const entry = await archive.next();
    if (entry?.name !== name || entry.size !== size) throw damaged(`${name} is not where it should be`);
    await take(entry, archive.content());
  }
  if ((await archive.next()) !== undefined) throw damaged('it holds more files than it says');
  return manifest;
}

async function readManifest(archive: ArchiveReader): Promise<Manifest> {
  const entry = await archive.next().catch((error: unknown) => {
    throw error instanceof Failure && error.area === 'backup' ? notABackup(error) : error;
  });
  if (entry?.name !== MANIFEST_NAME) throw notABackup();
  if (entry.size > LARGEST_MANIFEST) throw damaged('its table of contents is too long');
  const parts: Uint8Array[] = [];
  for await (const part of archive.content()) parts.push(part);
  return parseManifest(concat(...parts));
}

async function beginning(path: string): Promise<{ start: Uint8Array; size: number }> {
  let file: FileHandle | undefined;
  try {
    file = await open(path, 'r');
    const start = new Uint8Array(4);
    await file.read(start, 0, start.length, 0);
    return { start, size: (await file.stat()).size };
  } catch (error) {
    throw readFailure(path, 'backup', error);
  } finally {
    await file?.close();
  }
}

function encrypted(path: string): Failure {
  return new Failure('backup.encrypted', 'operator', `${path} is encrypted`, {
    action: 'Give the file with its passphrase (--passphrase-file).',
  });
}

/** Whoever expects an encrypted backup must not take one that anybody could have made. */
function notEncrypted(path: string): Failure {
  return new Failure(
    'backup.not-encrypted',
    'operator',
    `${path} is not encrypted, and a passphrase was given`,
    {
      action: 'Check that it is the file you mean; if it is, leave the passphrase out.',
    },
  );
}
