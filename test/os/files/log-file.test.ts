import { appendFileSync, existsSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { MAX_LINE, openLogFile } from '../../../os/files/log-file.ts';
import { makeSlotFile } from '../../../os/files/slot-file.ts';

const root = mkdtempSync(join(tmpdir(), 'enf-log-'));
afterAll(() => rmSync(root, { recursive: true, force: true }));

test('a line of any length comes cut, and the lines after it are where they are', async () => {
  const path = join(root, 'lines');
  const lengths = [10, 3_000_000, MAX_LINE, MAX_LINE + 1, 65_536, 0, 200_000, 5];
  writeFileSync(path, '');
  for (const [i, length] of lengths.entries()) appendFileSync(path, `${String(i).repeat(length)}\n`);
  const log = await openLogFile(path);
  try {
    const seen: [number, number, string][] = [];
    for await (const { offset, line } of log.lines(0))
      seen.push([offset, line.length, String.fromCharCode(line[0] ?? 0x2d)]);
    let offset = 0;
    const expected = lengths.map((length, i) => {
      const at = offset;
      offset += length + 1;
      return [at, Math.min(length, MAX_LINE), length === 0 ? '-' : String(i)];
    });
    expect(seen).toEqual(expected);
    expect(await log.lineAt(seen.at(-1)![0])).toHaveLength(5);
    expect(await log.lineAt(seen[1]![0])).toBeUndefined();
  } finally {
    await log.close();
  }
});

test('an index that does not fit on the disk leaves nothing of itself', async () => {
  const path = join(root, 'index');
  // Whatever is written to it finds no room.
  symlinkSync('/dev/full', `${path}.new`);
  await expect(makeSlotFile(path, 10, async () => ({}))).rejects.toMatchObject({ code: 'os.disk-full' });
  expect([existsSync(`${path}.new`), existsSync(path)]).toEqual([false, false]);
  const made = await makeSlotFile(path, 10, async () => ({ n: 1 }));
  expect(made.state).toEqual({ n: 1 });
  await made.close();
});
