import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { createFileFrom } from '../../../os/files/create.ts';
import { withPrivateFolder } from '../../../os/files/private-folder.ts';

function scratch(): string {
  const folder = mkdtempSync(join(tmpdir(), 'enf-files-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

async function* chunks(...texts: readonly string[]): AsyncGenerator<Uint8Array> {
  for (const text of texts) yield new TextEncoder().encode(text);
}

test('[H-C2] the folder is private, and gone with its content however the work ends', async () => {
  const parent = scratch();
  const listeners = process.listenerCount('SIGINT');
  const result = await withPrivateFolder(parent, async (folder) => {
    expect(statSync(folder).mode & 0o777).toBe(0o700);
    writeFileSync(join(folder, 'secret'), 'x');
    return 7;
  });
  expect(result).toBe(7);
  const failing = withPrivateFolder(parent, async (folder) => {
    writeFileSync(join(folder, 'secret'), 'x');
    throw new Error('no');
  });
  await expect(failing).rejects.toThrow('no');
  expect(readdirSync(parent)).toEqual([]);
  expect(process.listenerCount('SIGINT')).toBe(listeners);
  await expect(withPrivateFolder(join(parent, 'none'), async () => 1)).rejects.toMatchObject({
    code: 'os.write-failed',
  });
});

test('[H-C2] what a killed process has left is removed, what a running one works on is not', async () => {
  const parent = scratch();
  const gone = spawnSync('true').pid;
  const [left, used] = [join(parent, `.enf-${gone}-abcdef`), join(parent, `.enf-1-abcdef`)];
  for (const each of [left, used]) mkdirSync(each);
  writeFileSync(join(left, 'secret'), 'x');
  await withPrivateFolder(parent, async () => {});
  expect([existsSync(left), existsSync(used)]).toEqual([false, true]);
});

test('[H-C2] a file from a stream appears when it is complete and was looked at, and replaces nothing', async () => {
  const folder = scratch();
  const path = join(folder, 'file');
  const looked: string[] = [];
  const look = async (temporary: string): Promise<void> => {
    looked.push(execFileSync('cat', [temporary], { encoding: 'utf8' }));
    expect(existsSync(path)).toBe(false);
  };
  expect(await createFileFrom(path, chunks('one ', 'two'), look)).toBe(7);
  expect(looked).toEqual(['one two']);
  expect(statSync(path).mode & 0o777).toBe(0o600);
  await expect(createFileFrom(path, chunks('three'), async () => {})).rejects.toMatchObject({
    code: 'os.exists',
  });
  const refused = createFileFrom(join(folder, 'other'), chunks('x'), async () => {
    throw new Error('not so');
  });
  await expect(refused).rejects.toBeDefined();
  expect(readdirSync(folder)).toEqual(['file']);
});
