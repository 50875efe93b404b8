import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { inflateSync } from 'node:zlib';
import { expect, test } from 'vitest';
import { withJournal } from '../../factory/batch/journal.ts';
import { drawBoxLabels } from '../../factory/box-labels.ts';
import { createGroup, type Group, readLabelText } from '../../factory/group/group.ts';
import { QUIET_ZONE } from '../../factory/label/qr.ts';
import { createMaker } from '../../factory/maker/maker.ts';
import { encodePng } from '../../os/files/png.ts';
import { type Label, parseLabel, signedPart } from '../../protocol/label.ts';
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

/** The codes that zbar, an independent decoder, reads in a picture. */
function zbar(file: string): string[] {
  return execFileSync('zbarimg', ['--quiet', '--raw', '-Sdisable', '-Sqrcode.enable', file], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'ignore'],
    env: { ...process.env, DBUS_SYSTEM_BUS_ADDRESS: 'unix:path=/nonexistent' },
  })
    .trim()
    .split('\n');
}

/** The same, of a square of so many dots. */
function zbarDots(size: number, isDark: (x: number, y: number) => boolean): string {
  writeFileSync(path('code.png'), encodePng(size, 300, isDark));
  return zbar(path('code.png')).join();
}

/** The objects of a PDF that say what is drawn, with their streams unpacked; every object is where the table says. */
function unpacked(file: string): string {
  const pdf = readFileSync(file, 'latin1');
  const table = pdf.slice(Number(/startxref\n(\d+)/.exec(pdf)![1]));
  const offsets = [...table.matchAll(/^(\d{10}) 00000 n $/gm)].map(([, offset]) => Number(offset));
  expect(offsets.length).toBeGreaterThanOrEqual(6);
  for (const [i, offset] of offsets.entries())
    expect(pdf.slice(offset, offset + 20)).toMatch(new RegExp(`^${i + 1} 0 obj\n`));
  return pdf.replace(
    /\/Length (\d+) >>\nstream\n([\s\S]*?)\nendstream/g,
    (_, length: string, content: string) => {
      expect(content.length).toBe(Number(length));
      return inflateSync(Buffer.from(content, 'latin1')).toString('latin1');
    },
  );
}

const DPI = 600;
/** Renders a sheet with a program that is not ours, and gives its picture. */
function rendered(pdf: string, sheet = 1): string {
  const out = path(`sheet-${sheet}`);
  const pages = ['-f', String(sheet), '-l', String(sheet)];
  execFileSync('pdftoppm', ['-r', String(DPI), '-gray', '-png', '-singlefile', ...pages, pdf, out]);
  return `${out}.png`;
}

/** Where the dark part of a picture is, in millimetres. */
function darkPart(file: string, crop: string): { width: number; height: number; left: number; top: number } {
  const [width, height, left, top] = execFileSync(
    'convert',
    [file, '-crop', crop, '-trim', '-format', '%w %h %X %Y', 'info:'],
    { encoding: 'utf8' },
  )
    .split(' ')
    .map((dots) => (Number(dots) / DPI) * 25.4) as [number, number, number, number];
  return { width, height, left, top };
}

test('a PDF has one label for each box, in millimetres, and its code is that of the batch', async () => {
  const group = await batchOf(['S9', 'S10', 'S2', 'S11', undefined]);
  expect(await drawBoxLabels(group.folder, 2, 34, { pdf: path('boxes.pdf') })).toBe(3);
  const pdf = unpacked(path('boxes.pdf'));
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
  // All labels have one code, whose modules are a whole number of dots at 300 dpi; it is no wider than 34 mm.
  expect(pdf.match(/\/Subtype \/Form/g)).toHaveLength(1);
  const side = Number(/BBox \[0 0 (\d+)/.exec(pdf)![1]);
  const scale = Number(/^q ([\d.]+) 0 0/m.exec(pdf)![1]);
  expect(((scale / 25.4) * 300) % 1).toBeCloseTo(0, 3);
  expect(scale * side).toBeLessThanOrEqual(34);
  // Measured on the rendered sheet: the first code begins behind margin and quiet zone, and has its size to a dot.
  const sheet = rendered(path('boxes.pdf'));
  const inDots = (mm: number): number => Math.round((mm / 25.4) * DPI);
  const first = darkPart(sheet, `${inDots(10 + scale * side)}x${inDots(10 + scale * side)}+0+0`);
  const modules = (side - 2 * QUIET_ZONE) * scale;
  for (const [measured, expected] of [
    [first.width, modules],
    [first.height, modules],
    [first.left, 10 + QUIET_ZONE * scale],
    [first.top, 10 + QUIET_ZONE * scale],
  ] as const)
    expect(Math.abs(measured - expected)).toBeLessThan(0.09);
  const label = await readLabelText(group);
  expect(zbar(sheet)).toEqual([label, label, label]);
});

const BOXES = [
  { number: 1, boxes: 3, devices: 2 },
  { number: 2, boxes: 3, devices: 2 },
  { number: 3, boxes: 3, devices: 1 },
];

test('each code says which box it is of, and is signed by the maker, where that is asked for', async () => {
  const group = await batchOf(['S1', 'S2', 'S3', 'S4', 'S5']);
  const maker = await createMaker(path('maker'), encodeUtf8('phrase'));
  let asked = 0;
  const passphrase = async (): Promise<Uint8Array> => {
    asked++;
    return encodeUtf8('phrase');
  };
  const files = {
    pdf: path('told.pdf'),
    zpl: { file: path('told.zpl'), dpi: 300 as const },
    svg: path('told-svg'),
    png: path('told-png'),
  };
  const codes = { numbers: true, signer: { maker, passphrase } };
  expect(await drawBoxLabels(group.folder, 2, 42, files, codes)).toBe(3);
  expect(asked).toBe(1);
  const batch = parseLabel(await readLabelText(group));
  const readAs = (texts: readonly string[]): object[] =>
    texts.map((text) => {
      const { signature, ...read } = parseLabel(text);
      // openssl knows nothing of ours.
      writeFileSync(path('said'), signedPart({ ...read, signature: signature! })!.message);
      writeFileSync(path('sig'), signature!);
      const checked = [
        '-verify',
        '-rawin',
        '-pubin',
        '-inkey',
        `${maker.folder}/maker.pub`,
        '-in',
        path('said'),
      ];
      execFileSync('openssl', ['pkeyutl', ...checked, '-sigfile', path('sig')], { stdio: 'ignore' });
      return read;
    });
  const expected = BOXES.map((box) => ({ ...batch, count: 5, box }));
  const sorted = (texts: readonly string[]): object[] =>
    readAs(texts).sort((a, b) => (a as Label).box!.number - (b as Label).box!.number);
  expect(sorted(zbar(rendered(files.pdf)))).toEqual(expected);
  expect(readdirSync(files.png).sort()).toEqual(['box-1.png', 'box-2.png', 'box-3.png']);
  expect(readAs([1, 2, 3].flatMap((box) => zbar(`${files.png}/box-${box}.png`)))).toEqual(expected);
  expect(readdirSync(files.svg).sort()).toEqual(['box-1.svg', 'box-2.svg', 'box-3.svg']);
  const drawn = [1, 2, 3].map((box) => readFileSync(`${files.svg}/box-${box}.svg`, 'utf8'));
  expect(drawn.map((svg) => /Box: [^<]+/.exec(svg)?.[0])).toEqual([
    'Box: 1 of 3, 2 devices',
    'Box: 2 of 3, 2 devices',
    'Box: 3 of 3, 1 device',
  ]);
  expect(readAs(drawn.flatMap(svgCode))).toEqual(expected);
  const labels = readFileSync(files.zpl.file, 'utf8').match(/\^XA[\s\S]*?\^XZ/g)!;
  expect(readAs(labels.map(zplCode))).toEqual(expected);
});

test('a code that is signed says nothing else unless that is asked for, and all boxes have it', async () => {
  const group = await batchOf(['S1', 'S2']);
  const maker = await createMaker(path('other-maker'), undefined);
  const signer = { maker, passphrase: () => Promise.reject(new Error('nobody is to be asked')) };
  await drawBoxLabels(group.folder, 1, 42, { png: path('signed') }, { numbers: false, signer });
  const [one, two] = [1, 2].map((box) => zbar(`${path('signed')}/box-${box}.png`).join());
  expect(one).toBe(two);
  const { signature, ...read } = parseLabel(one!);
  expect(read).toEqual(parseLabel(await readLabelText(group)));
  expect(signature).toBeDefined();
  // A wrong passphrase leaves nothing.
  const sealed = await createMaker(path('sealed-maker'), encodeUtf8('right'));
  const wrong = { maker: sealed, passphrase: async () => encodeUtf8('wrong') };
  const refused = drawBoxLabels(group.folder, 1, 42, { png: path('no') }, { numbers: true, signer: wrong });
  await expectFailure(refused, 'os.wrong-passphrase');
  expect(existsSync(path('no'))).toBe(false);
});

/** What zbar reads of an SVG's code; ImageMagick without its SVG part still draws SVG's path syntax. */
function svgCode(svg: string): string[] {
  const [, scale, d] = /scale\(([\d.]+)\)".* d="([^"]+)"/.exec(svg)!;
  const dots = (Number(scale) / 25.4) * DPI;
  const draw = ['-fill', 'black', '-draw', `scale ${dots},${dots} path '${d}'`];
  execFileSync('convert', ['-size', '1000x1000', 'xc:white', ...draw, path('svg.png')]);
  return zbar(path('svg.png'));
}

/** What zbar reads of the dots in a label for a ZPL printer. */
function zplCode(zpl: string): string {
  const [, total, rowBytes, hex] = /\^GFA,\d+,(\d+),(\d+),([0-9A-F]+)\^FS/.exec(zpl)!;
  const bytes = Buffer.from(hex!, 'hex');
  expect(bytes.length).toBe(Number(total));
  const row = Number(rowBytes);
  return zbarDots(bytes.length / row, (x, y) => ((bytes[y * row + (x >> 3)]! >> (7 - (x & 7))) & 1) === 1);
}

test('many boxes fill many sheets', async () => {
  const group = await batchOf(Array.from({ length: 30 }, (_, i) => `S${i}`));
  expect(await drawBoxLabels(group.folder, 1, 34, { pdf: path('many.pdf') })).toBe(30);
  const pdf = unpacked(path('many.pdf'));
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
    const [, total, rowBytes] = /\^GFA,\d+,(\d+),(\d+),/.exec(zpl)!;
    expect((Number(total) / Number(rowBytes) / dpi) * 25.4).toBeLessThanOrEqual(34);
    expect(zplCode(zpl)).toBe(await readLabelText(group));
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
  mkdirSync(path('there'));
  writeFileSync(path('there/mine'), 'x');
  await expectFailure(drawBoxLabels(group.folder, 2, 34, { svg: path('there') }), 'os.exists');
  expect(readFileSync(path('there.pdf'), 'utf8')).toBe('x');
});
