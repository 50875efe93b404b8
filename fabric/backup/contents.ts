import type { Stats } from 'node:fs';
import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { readBounded } from '../../os/files/read.ts';
import { Failure } from '../../protocol/failure.ts';
import { filesOfRegistry } from '../open-registry.ts';
import { pathOf } from '../pki/files.ts';
import { MOST_FILES } from './manifest.ts';
import { type Content, isSafeName } from './tar.ts';

/** Keys, certificates and the like have a few kilobytes. */
const LARGEST_FILE = 1_048_576;
const MOST_BYTES = 64 * 1_048_576;
/** Hidden ones, and what a program works on at the moment or has left when it was killed. */
const LEFT_OUT = /^\.|\.tmp$/;

/**
 * All files in a data folder but the registry's, which only count together, in the order of their names. Sockets and hidden files are left out.
 * @throws Failure `backup.unknown-file`, `os.file-too-large`, `os.not-readable`
 */
export async function contentsOf(data: string): Promise<Content[]> {
  const registry = new Set(filesOfRegistry(pathOf(data, 'registry')));
  const found: Content[] = [];
  let bytes = 0;
  for (const name of await fileNames(data)) {
    const path = join(data, name);
    if (registry.has(path)) continue;
    if (!isSafeName(name) || found.length >= MOST_FILES - 1) throw unknownFile(path);
    const content = await readBounded(path, 'file of the fabric', LARGEST_FILE);
    bytes += content.length;
    if (bytes > MOST_BYTES) throw unknownFile(path);
    found.push({ name, size: content.length, mode: (await stat(path)).mode & 0o644, content: once(content) });
  }
  return found;
}

/** A content that is at hand. */
export async function* once(content: Uint8Array): AsyncGenerator<Uint8Array> {
  yield content;
}

/** The names of the plain files in a folder and those below it, sorted. */
async function fileNames(folder: string, below = ''): Promise<string[]> {
  const names: string[] = [];
  for (const name of (await readdir(join(folder, below))).sort()) {
    if (LEFT_OUT.test(name)) continue;
    const inside = below === '' ? name : `${below}/${name}`;
    const kind = await statIfThere(join(folder, inside));
    if (kind?.isFile()) names.push(inside);
    else if (kind?.isDirectory()) names.push(...(await fileNames(folder, inside)));
    if (names.length > MOST_FILES) throw unknownFile(join(folder, inside));
  }
  return names;
}

async function statIfThere(path: string): Promise<Stats | undefined> {
  return stat(path).catch(() => undefined);
}

function unknownFile(path: string): Failure {
  return new Failure('backup.unknown-file', 'operator', `${path} and its like are not part of a fabric`, {
    action: `Move what is not the fabric's out of its data folder: at most ${MOST_FILES} files and 64 MB, with names of at most 100 bytes.`,
  });
}
