import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { withJournal } from '../../factory/batch/journal.ts';
import { createGroup, type Group, readLabelText } from '../../factory/group/group.ts';
import { drawBoxLabels } from '../../factory/operations.ts';
import { encodePng } from '../../os/files/png.ts';
import { encodeUtf8 } from '../../protocol/utf8.ts';
import { expectFailure, scratch } from './folders.ts';

const path = scratch();
const MM_PER_POINT = 25.4 / 72;

async function batchOf(serials: (string | undefined)[]): Promise<Group> {
  const folder = path(`g-${Math.random()}`);
  const group = await createGroup({ folder, name: 'March (26)', basename: encodeUtf8('xaprcnet') });
  for (const [i, serial] of serials.entries())
    await withJournal(group, (journal) => journal.record({ result: 'pass', member: `${i}`, serial }));
  return group;
}

/** What zbar reads from a picture of so many dots. */
function zbar(size: number, isDark: (x: number, y: number) => boolean): string {
  writeFileSync(path('code.png'), encodePng(size, 300, isDark));
  return execFileSync('zbarimg', ['--quiet', '--raw', '-Sdisable', '-Sqrcode.enable', path('code.png')], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'ignore'],
    env: { ...process.env, DBUS_SYSTEM_BUS_ADDRESS: 'unix:path=/nonexistent' },
  }).trim();
}

test('a PDF has one label for each box, in millimetres, and its code is that of the batch', async () => {
  const group = await batchOf(['S9', 'S10', 'S2', 'S11', undefined]);
  expect(await drawBoxLabels(group.folder, 2, 34, { pdf: path('boxes.pdf') })).toBe(3);
  const pdf = readFileSync(path('boxes.pdf'), 'latin1');
  // Every object is where the table says.
  const table = pdf.slice(Number(/startxref\n(\d+)/.exec(pdf)![1]));
  const offsets = [...table.matchAll(/^(\d{10}) 00000 n $/gm)].map(([, offset]) => Number(offset));
  expect(offsets.length).toBeGreaterThanOrEqual(6);
  for (const [i, offset] of offsets.entries())
    expect(pdf.slice(offset)).toMatch(new RegExp(`^${i + 1} 0 obj\n`));
  for (const [, length, content] of pdf.matchAll(/\/Length (\d+) >>\nstream\n([\s\S]*?)\nendstream/g))
    expect(content!.length).toBe(Number(length));
  const [, width, height] = /MediaBox \[0 0 ([\d.]+) ([\d.]+)\]/.exec(pdf)!.map(Number);
  expect([width! * MM_PER_POINT, height! * MM_PER_POINT].map((each) => each.toFixed(2))).toEqual([
    '210.00',
    '297.00',
  ]);
  const texts = [...pdf.matchAll(/\((.*)\) Tj/g)].map(([, text]) => text);
  expect(texts.slice(0, 7)).toEqual(
    expect.arrayContaining(['March \\(26\\)', 'Devices: 5', 'Box: 1 of 3, 2 devices', 'From: S9', 'To: S10']),
  );
  expect(texts).toEqual(
    expect.arrayContaining(['Box: 2 of 3, 2 devices', 'From: S2', 'To: S11', 'Box: 3 of 3, 1 device']),
  );
  // A module is a whole number of dots at 300 dpi, and the code no wider than 34 mm.
  const modules = [...pdf.matchAll(/^(\d+) (\d+) (\d+) 1 re$/gm)].map((match) => match.slice(1).map(Number));
  const side = Number(/BBox \[0 0 (\d+)/.exec(pdf)![1]);
  const scale = Number(/^q ([\d.]+) 0 0/m.exec(pdf)![1]);
  expect(((scale / 25.4) * 300) % 1).toBeCloseTo(0, 3);
  expect(scale * side).toBeLessThanOrEqual(34);
  const dark = new Set(
    modules.flatMap(([x, y, run]) => Array.from({ length: run! }, (_, i) => `${x! + i},${y}`)),
  );
  const read = zbar(side * 4, (x, y) => dark.has(`${Math.floor(x / 4)},${side - 1 - Math.floor(y / 4)}`));
  expect(read).toBe(await readLabelText(group));
});

test('many boxes fill many sheets', async () => {
  const group = await batchOf(Array.from({ length: 30 }, (_, i) => `S${i}`));
  expect(await drawBoxLabels(group.folder, 1, 34, { pdf: path('many.pdf') })).toBe(30);
  const pdf = readFileSync(path('many.pdf'), 'latin1');
  const pages = pdf.match(/\/Type \/Page /g)!.length;
  expect(pages).toBeGreaterThan(1);
  expect(pdf).toContain(`/Count ${pages} `);
  expect(pdf.match(/Box: /g)).toHaveLength(30);
});

test.each([203, 300, 600] as const)(
  'ZPL of %i dpi has the code as dots, and nothing that a printer takes for a command',
  async (dpi) => {
    const group = await batchOf(['A_1', 'A/2']);
    const file = path(`boxes-${dpi}.zpl`);
    expect(await drawBoxLabels(group.folder, 2, 34, { zpl: { file, dpi } })).toBe(1);
    const zpl = readFileSync(file, 'utf8');
    expect(zpl).toMatch(/^\^XA[\s\S]*\^XZ\n$/);
    expect(zpl).toContain('^FDFrom: A_5f1^FS');
    const [, total, rowBytes, hex] = /\^GFA,\d+,(\d+),(\d+),([0-9A-F]+)\^FS/.exec(zpl)!;
    const bytes = Buffer.from(hex!, 'hex');
    expect(bytes.length).toBe(Number(total));
    const size = bytes.length / Number(rowBytes);
    expect((size / dpi) * 25.4).toBeLessThanOrEqual(34);
    const read = zbar(size, (x, y) => ((bytes[y * Number(rowBytes) + (x >> 3)]! >> (7 - (x & 7))) & 1) === 1);
    expect(read).toBe(await readLabelText(group));
  },
);

test('a batch without devices has no boxes; a code too small for the printer, and a file that is there, are refused', async () => {
  const empty = await batchOf([]);
  await expectFailure(drawBoxLabels(empty.folder, 2, 34, { pdf: path('none.pdf') }), 'factory.no-devices');
  const group = await batchOf(['S1']);
  const small = drawBoxLabels(group.folder, 2, 27, { zpl: { file: path('small.zpl'), dpi: 203 } });
  await expectFailure(small, 'factory.label-too-small');
  writeFileSync(path('there.pdf'), 'x');
  await expectFailure(drawBoxLabels(group.folder, 2, 34, { pdf: path('there.pdf') }), 'os.exists');
  expect(readFileSync(path('there.pdf'), 'utf8')).toBe('x');
});
