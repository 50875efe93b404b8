import { stat } from 'node:fs/promises';
import { join, relative, resolve } from 'node:path';
import { sealStream } from '../../crypto/sealed-stream.ts';
import { createFileFrom } from '../../os/files/create.ts';
import { exists } from '../../os/files/folder.ts';
import { withPrivateFolder } from '../../os/files/private-folder.ts';
import { readChunks } from '../../os/files/read.ts';
import { VERSION } from '../../os/service/process.ts';
import { toHex } from '../../protocol/bytes.ts';
import { Failure } from '../../protocol/failure.ts';
import { checkRegistry, copyRegistry } from '../open-registry.ts';
import { loadAuthority } from '../pki/authority.ts';
import { pathOf } from '../pki/files.ts';
import type { RegistrySummary } from '../registry/records.ts';
import { contentsOf, once } from './contents.ts';
import { noteBackup } from './last.ts';
import { encodeManifest, MANIFEST_NAME } from './manifest.ts';
import { type Progress, watched } from './progress.ts';
import { readBackup, skip } from './read.ts';
import { type Content, packArchive } from './tar.ts';

/** The registry's name in a backup. */
export const REGISTRY_NAME = 'registry.db';

/** A backup as it is shown to users. */
export interface BackupView {
  readonly file: string;
  /** ISO 8601. */
  readonly created: string;
  readonly encrypted: boolean;
  /** The newest audit entry: its number and its hash in hex. */
  readonly audit: { readonly entries: number; readonly head: string };
  readonly networks: number;
  readonly groups: number;
  readonly devices: number;
}

export interface BackupOptions {
  /** Encrypts the backup; the caller wipes it. */
  readonly passphrase?: Uint8Array | undefined;
  readonly progress: Progress;
}

/**
 * Writes all that is in the data folder of a fabric, which may be serving, into one new file (0600), and reads it again before it gets its name.
 * @throws Failure `os.exists`, `backup.inside`, `backup.unknown-file`, `audit.behind`, `audit.broken`, and those of `loadAuthority` and the registry
 */
export async function createBackup(data: string, file: string, options: BackupOptions): Promise<BackupView> {
  const { passphrase, progress } = options;
  await checkTarget(data, file);
  await loadAuthority(data);
  const created = new Date().toISOString();
  return withPrivateFolder(data, async (folder) => {
    const copy = join(folder, REGISTRY_NAME);
    progress.step('copying the registry');
    await copyRegistry(pathOf(data, 'registry'), copy);
    progress.step('checking the copy');
    const summary = summaryOf(await checkRegistry(copy));
    const files = [...(await contentsOf(data)), await registryContent(copy)];
    const manifest = encodeManifest({
      created,
      program: VERSION,
      ...summary,
      files: files.map(({ name, size }) => ({ name, size })),
    });
    const first = { name: MANIFEST_NAME, size: manifest.length, mode: 0o600, content: once(manifest) };
    const total = files.reduce((sum, { size }) => sum + size, 0);
    const archive = watched(packArchive([first, ...files]), progress, 'writing the backup', total);
    await createFileFrom(
      file,
      passphrase === undefined ? archive : sealStream(archive, passphrase),
      (written) => readBackup(written, { passphrase, progress }, skip),
    );
    await noteBackup(data, created);
    return { file, created, encrypted: passphrase !== undefined, ...summary };
  });
}

async function checkTarget(data: string, file: string): Promise<void> {
  if (await exists(file)) {
    throw new Failure('os.exists', 'operator', `${file} already exists; nothing was overwritten`, {
      action: 'Choose another name, or move the existing one away.',
    });
  }
  if (!relative(resolve(data), resolve(file)).startsWith('..')) {
    throw new Failure('backup.inside', 'operator', `${file} is in the folder of which it is to be a backup`, {
      action: 'Write the backup elsewhere, best on another machine.',
    });
  }
}

function summaryOf({ head, networks, groups, devices }: RegistrySummary) {
  return { audit: { entries: head.seq, head: toHex(head.hash) }, networks, groups, devices };
}

async function registryContent(path: string): Promise<Content> {
  const { size } = await stat(path);
  return { name: REGISTRY_NAME, size, mode: 0o600, content: readChunks(path, 'copy of the registry') };
}
