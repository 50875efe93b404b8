import { cpSync, mkdirSync, renameSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { type HostFiles, installationAt } from '../../../fabric/nodes/installation.ts';
import { toHex } from '../../../protocol/bytes.ts';
import { scratch } from '../place.ts';

/** A host with these files, as far as they are given. */
function host(files: Partial<HostFiles>): HostFiles {
  const folder = scratch();
  const path = (name: keyof HostFiles): string => {
    const text = files[name];
    if (text !== undefined) writeFileSync(join(folder, name), text);
    return join(folder, name);
  };
  return { machineId: path('machineId'), bootId: path('bootId') };
}
const of = async (data: string, files: HostFiles) => toHex(await installationAt(data, files));

const [M1, M2] = ['1', '2'].map((digit) => `${digit.repeat(32)}\n`) as [string, string];
const BOOT = 'b7d6c1f2-0000-4000-8000-000000000001\n';

test('with a machine id it is the same after a boot, and another one on another host or in another folder', async () => {
  const data = scratch();
  const here = await of(data, host({ machineId: M1, bootId: BOOT }));
  expect(await of(data, host({ machineId: M1, bootId: 'another\n' }))).toBe(here);
  expect(await of(data, host({ machineId: M2, bootId: BOOT }))).not.toBe(here);
  expect(await of(scratch(), host({ machineId: M1, bootId: BOOT }))).not.toBe(here);
});

test('without one it is the same until the next boot', async () => {
  const data = scratch();
  const here = await of(data, host({ bootId: BOOT }));
  for (const machineId of ['\n', 'uninitialized\n', `${M1.trim()}0\n`])
    expect(await of(data, host({ machineId, bootId: BOOT }))).toBe(here);
  const link = join(scratch(), 'link');
  symlinkSync(data, link);
  expect(await of(link, host({ bootId: BOOT }))).toBe(here);
  expect(await of(data, host({ bootId: 'another\n' }))).not.toBe(here);
});

test('containers of one kernel have folders with one path, which are told from each other', async () => {
  const [place, aside] = [join(scratch(), 'data'), join(scratch(), 'data')];
  mkdirSync(place);
  const here = await of(place, host({ bootId: BOOT }));
  cpSync(place, aside, { recursive: true });
  renameSync(place, `${place}-former`);
  cpSync(aside, place, { recursive: true });
  expect(await of(place, host({ bootId: BOOT }))).not.toBe(here);
});

test('a host of which nothing is known is another one each time', async () => {
  const data = scratch();
  expect(await of(data, host({}))).not.toBe(await of(data, host({})));
});
