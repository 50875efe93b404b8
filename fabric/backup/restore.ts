import { mkdir } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { writeChunks } from '../../os/files/create.ts';
import { syncFolder, writeFailure } from '../../os/files/durable.ts';
import { finishAndIsEmpty, placeToPrepare, putInPlace } from '../../os/files/place.ts';
import { withPrivateFolder } from '../../os/files/private-folder.ts';
import { equal, fromHex } from '../../protocol/bytes.ts';
import { Failure } from '../../protocol/failure.ts';
import { checkRegistry, openRegistry } from '../open-registry.ts';
import { loadAuthority } from '../pki/authority.ts';
import { pathOf } from '../pki/files.ts';
import { alreadyInitialised } from '../pki/found.ts';
import { type BackupOptions, type BackupView, REGISTRY_NAME } from './create.ts';
import { damaged } from './failures.ts';
import type { Manifest } from './manifest.ts';
import { isEncrypted, readBackup } from './read.ts';

/**
 * Reads a backup into a private folder, and checks everything that a restore would put in place.
 * @throws Failure those of `readBackup`, `backup.unusable`
 */
export async function verifyBackup(file: string, options: BackupOptions): Promise<BackupView> {
  return withPrivateFolder(tmpdir(), async (folder) =>
    viewOf(file, await unpack(file, join(folder, 'fabric'), options)),
  );
}

/**
 * Puts a backup in place as a data folder that was not there or was empty; complete or not at all. The audit trail says so.
 * @throws Failure `fabric.already-initialised`, and those of `verifyBackup`
 */
export async function restoreBackup(
  file: string,
  data: string,
  actor: string,
  options: BackupOptions,
): Promise<BackupView & { readonly data: string }> {
  const target = resolve(data);
  await requireEmpty(data);
  return withPrivateFolder(await placeToPrepare(target), async (folder) => {
    const inside = join(folder, 'fabric');
    const manifest = await unpack(file, inside, options);
    const { created, audit } = manifest;
    const registry = await openRegistry(pathOf(inside, 'registry'));
    try {
      await registry.recordRestore(actor, { backup: created, ...audit });
    } finally {
      await registry.close();
    }
    await give(inside, target);
    return { data, ...(await viewOf(file, manifest)) };
  });
}

async function viewOf(file: string, manifest: Manifest): Promise<BackupView> {
  const { created, audit, networks, groups, devices } = manifest;
  return { file, created, encrypted: await isEncrypted(file), audit, networks, groups, devices };
}

async function requireEmpty(data: string): Promise<void> {
  const isEmpty = await finishAndIsEmpty(data).catch((error) => {
    throw writeFailure(data, error);
  });
  if (!isEmpty) throw alreadyInitialised(data);
}

/** The files of the backup in a new folder, checked. */
async function unpack(file: string, folder: string, options: BackupOptions): Promise<Manifest> {
  await mkdir(folder, { mode: 0o700 });
  const folders = new Set([folder]);
  const manifest = await readBackup(file, options, async ({ name, mode }, content) => {
    const path = join(folder, name);
    try {
      await mkdir(dirname(path), { recursive: true, mode: 0o700 });
      await writeChunks(path, content, mode & 0o644);
    } catch (error) {
      throw error instanceof Failure ? error : writeFailure(path, error);
    }
    folders.add(dirname(path));
  });
  options.progress.step('checking what is in it');
  await checkContents(folder, manifest);
  for (const each of folders) await syncFolder(each);
  return manifest;
}

/** @throws Failure `backup.unusable`, `registry.newer-schema` */
async function checkContents(folder: string, { audit }: Manifest): Promise<void> {
  try {
    await loadAuthority(folder);
    const { head } = await checkRegistry(join(folder, REGISTRY_NAME));
    if (head.seq === audit.entries && equal(head.hash, fromHex(audit.head))) return;
  } catch (error) {
    if (!(error instanceof Failure) || error.code === 'registry.newer-schema') throw error;
    throw new Failure('backup.unusable', 'operator', `the backup is whole, but ${error.message}`, {
      action: 'Take an older backup; keep this one for analysis.',
      cause: error,
    });
  }
  throw damaged('its registry ends with another audit entry than it says');
}

async function give(from: string, to: string): Promise<void> {
  try {
    await putInPlace(from, to);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    throw code === 'ENOTEMPTY' || code === 'EEXIST' ? alreadyInitialised(to, error) : writeFailure(to, error);
  }
}
