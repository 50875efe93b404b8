import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { createFile, createFolder } from '../../../os/files/create.ts';
import { listFiles, readIfThere } from '../../../os/files/read.ts';
import { expectFailure, scratch } from '../../factory/folders.ts';

const path = scratch();
const mode = (name: string): number => statSync(name).mode & 0o777;
const leftovers = (folder: string): string[] => readdirSync(folder).filter((name) => name.endsWith('.tmp'));

describe('createFolder', () => {
  test('creates it complete and private, also where an empty one exists', async () => {
    const files = [
      { name: 'a', content: 'A' },
      { name: 'b', content: Uint8Array.of(1, 2), mode: 0o644 },
    ];
    await createFolder(path('new'), files);
    expect([mode(path('new')), mode(path('new/a')), mode(path('new/b'))]).toEqual([0o700, 0o600, 0o644]);
    expect(readFileSync(path('new/b'))).toEqual(Buffer.of(1, 2));
    mkdirSync(path('empty'));
    await createFolder(`${path('empty')}/`, files);
    expect(readdirSync(path('empty'))).toEqual(['a', 'b']);
  });

  test('refuses an existing target, and leaves nothing incomplete', async () => {
    await createFolder(path('full'), [{ name: 'mine', content: 'x' }]);
    writeFileSync(path('file'), 'x');
    symlinkSync(path('nowhere'), path('link'));
    for (const taken of ['full', 'file', 'link'])
      await expectFailure(createFolder(path(taken), [{ name: 'a', content: 'A' }]), 'os.exists');
    await expectFailure(createFolder(path('no/such'), []), 'os.write-failed');
    await expectFailure(createFolder(path('bad'), [{ name: 'no/such', content: 'A' }]), 'os.write-failed');
    expect([readdirSync(path('full')), readFileSync(path('file'), 'utf8')]).toEqual([['mine'], 'x']);
    expect(existsSync(path('bad'))).toBe(false);
    expect(leftovers(path('.'))).toEqual([]);
  });
});

describe('createFile', () => {
  test('writes a new file and refuses an existing name', async () => {
    await createFile(path('fresh'), 'A');
    expect([readFileSync(path('fresh'), 'utf8'), mode(path('fresh'))]).toEqual(['A', 0o600]);
    await expectFailure(createFile(path('fresh'), 'B'), 'os.exists');
    symlinkSync(path('elsewhere'), path('dangling'));
    await expectFailure(createFile(path('dangling'), 'B'), 'os.exists');
    await expectFailure(createFile(path('no/such'), 'B'), 'os.write-failed');
    expect(readFileSync(path('fresh'), 'utf8')).toBe('A');
    expect(existsSync(path('elsewhere'))).toBe(false);
    expect(leftovers(path('.'))).toEqual([]);
  });
});

describe('reading', () => {
  test('a file that may be missing, and a folder', async () => {
    expect(await readIfThere(path('never'), 'thing')).toBeUndefined();
    writeFileSync(path('there'), 'x');
    expect(await readIfThere(path('there'), 'thing')).toEqual(Uint8Array.of(0x78));
    await expectFailure(readIfThere(path('there'), 'thing', 0), 'os.file-too-large');
    mkdirSync(path('listed/sub'), { recursive: true });
    writeFileSync(join(path('listed'), 'b'), '');
    writeFileSync(join(path('listed'), 'a'), '');
    expect(await listFiles(path('listed'), 'folder')).toEqual(['a', 'b']);
    await expectFailure(listFiles(path('there'), 'folder'), 'os.no-file');
  });
});
