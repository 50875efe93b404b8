import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { type Prepared, type Wanted, withPrepared } from './scale/prepared.ts';

const WANTED: Wanted = { bench: 'console', devices: 20, registry: undefined, keep: undefined };

test('a registry that is kept is made once, and only for what it was made for', async () => {
  const keep = mkdtempSync(join(tmpdir(), 'enf-kept-'));
  onTestFinished(() => rmSync(keep, { recursive: true }));
  let made = 0;
  const wanted = { ...WANTED, keep, finish: () => void made++ };
  const first = await withPrepared(wanted, async (prepared) => prepared);
  expect(await withPrepared(wanted, async (prepared) => prepared)).toEqual(first);
  expect(made).toBe(1);
  for (const other of [{ devices: 21 }, { bench: 'scale' }, { registry: '/root/empty.url' }]) {
    const refused = withPrepared({ ...wanted, ...other }, async () => undefined);
    await expect(refused).rejects.toMatchObject({ code: 'bench.other-registry' });
  }
});

test('one that is not kept goes, also if measuring it fails', async () => {
  let folder = '';
  const measured = withPrepared(WANTED, async ({ data }: Prepared) => {
    folder = data;
    expect(existsSync(join(data, 'registry.db'))).toBe(true);
    throw new Error('not measured');
  });
  await expect(measured).rejects.toThrow('not measured');
  expect(existsSync(folder)).toBe(false);
});
