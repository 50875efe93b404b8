import {
  chmodSync,
  chownSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { finishAndIsEmpty, placeToPrepare, putInPlace } from '../../../os/files/place.ts';
import { scratch } from '../../factory/folders.ts';

const path = scratch();

async function prepare(target: string): Promise<string> {
  const prepared = join(await placeToPrepare(target), '.enf-1-abcdef');
  await mkdir(join(prepared, 'below'), { recursive: true });
  await writeFile(join(prepared, 'a'), 'A');
  await writeFile(join(prepared, 'below/b'), 'B');
  return prepared;
}

test('a folder that was not there gets its name', async () => {
  await putInPlace(await prepare(path('new')), path('new'));
  expect(readdirSync(path('new')).sort()).toEqual(['a', 'below']);
  expect(await finishAndIsEmpty(path('new'))).toBe(false);
});

test('one that was empty is filled, and closed to others', async () => {
  mkdirSync(path('old/lost+found'), { recursive: true });
  chmodSync(path('old'), 0o755);
  expect(await finishAndIsEmpty(path('old'))).toBe(true);
  await putInPlace(await prepare(path('old')), path('old'));
  expect(readdirSync(path('old')).sort()).toEqual(['a', 'below', 'lost+found']);
  expect(statSync(path('old')).mode & 0o777).toBe(0o750);
});

test('one with something in it is left alone', async () => {
  mkdirSync(path('full'));
  writeFileSync(path('full/mine'), 'x');
  await expect(putInPlace(await prepare(path('other')), path('full'))).rejects.toMatchObject({
    code: 'EEXIST',
  });
  expect(readdirSync(path('full'))).toEqual(['mine']);
  expect(await finishAndIsEmpty(path('full/mine'))).toBe(false);
});

test('a move that was cut short is finished by the next call', async () => {
  mkdirSync(path('cut/.enf-complete'), { recursive: true });
  writeFileSync(path('cut/a'), 'A');
  writeFileSync(path('cut/.enf-complete/b'), 'B');
  expect(await finishAndIsEmpty(path('cut'))).toBe(false);
  expect(readdirSync(path('cut')).sort()).toEqual(['a', 'b']);
  expect(readFileSync(path('cut/b'), 'utf8')).toBe('B');
});

const root = process.getuid?.() === 0;

test.runIf(root)("files that root puts into the folder of a user are that user's", async () => {
  mkdirSync(path('theirs'));
  chownSync(path('theirs'), 12_345, 12_346);
  await putInPlace(await prepare(path('theirs')), path('theirs'));
  for (const name of ['a', 'below', 'below/b'])
    expect(statSync(path(`theirs/${name}`)), name).toMatchObject({ uid: 12_345, gid: 12_346 });
});

describe('a folder of a user who would have root work elsewhere', () => {
  test('what is said to be complete is no link', async () => {
    mkdirSync(path('elsewhere'));
    writeFileSync(path('elsewhere/precious'), 'x');
    mkdirSync(path('trap'));
    symlinkSync(path('elsewhere'), path('trap/.enf-complete'));
    await expect(finishAndIsEmpty(path('trap'))).rejects.toMatchObject({ code: 'ENOTDIR' });
    expect(readdirSync(path('elsewhere'))).toEqual(['precious']);
    expect(readdirSync(path('trap'))).toEqual(['.enf-complete']);
  });

  test.runIf(root)(
    'nothing behind a link gets another owner, and a link in place of what was prepared is refused',
    async () => {
      mkdirSync(path('outside'));
      writeFileSync(path('outside/precious'), 'x');
      mkdirSync(path('hostile'));
      chownSync(path('hostile'), 12_345, 12_346);
      const prepared = await prepare(path('hostile'));
      symlinkSync(path('outside/precious'), join(prepared, 'link'));
      await putInPlace(prepared, path('hostile'));
      expect(statSync(path('outside/precious')).uid).toBe(0);

      mkdirSync(path('swapped'));
      chownSync(path('swapped'), 12_345, 12_346);
      symlinkSync(path('outside'), path('swapped/.enf-1-abcdef'));
      await expect(putInPlace(path('swapped/.enf-1-abcdef'), path('swapped'))).rejects.toMatchObject({
        code: 'ENOTDIR',
      });
      expect(statSync(path('outside')).uid).toBe(0);
    },
  );
});
