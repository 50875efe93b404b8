import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import type { Group } from '../../factory/group/group.ts';
import { describeGroup, dotsPerModule, drawPng, drawSvg, drawTerminal } from '../../factory/label/label.ts';
import { levelFor, QUIET_ZONE, qrCode } from '../../factory/label/qr.ts';
import { decodeBase45 } from '../../protocol/base45.ts';
import { toHex } from '../../protocol/bytes.ts';
import { isFailure } from '../../protocol/failure.ts';
import { encodeLabel, parseLabel } from '../../protocol/label.ts';
import { encodeUtf8 } from '../../protocol/utf8.ts';
import { zxing } from './decoder.ts';
import { scratch } from './folders.ts';

const path = scratch();
const gpk = Uint8Array.from({ length: 258 }, (_, i) => (i * i * 31 + 7) & 0xff);
const text = encodeLabel({
  gpk,
  basename: encodeUtf8('xaprcnet'),
  name: 'Gateways, March/26b',
  claim: Uint8Array.from({ length: 16 }, (_, i) => 200 - i),
});
const group: Group = {
  folder: '/nowhere',
  name: 'Gateways <March> & "April"',
  vendor: 'Müller',
  basename: encodeUtf8('xaprcnet'),
  gpk,
  gid: '0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef',
  created: '2026-01-01T00:00:00.000Z',
  claimHash: '00'.repeat(32),
};

/** What zbar, an independent decoder, reads from an image file; empty if it finds no code. */
function zbar(file: string): string {
  try {
    return execFileSync('zbarimg', ['--quiet', '--raw', '-Sdisable', '-Sqrcode.enable', file], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
      env: { ...process.env, DBUS_SYSTEM_BUS_ADDRESS: 'unix:path=/nonexistent' },
    }).replace(/\n$/, '');
  } catch (error) {
    if ((error as { status?: number }).status === 4) return '';
    throw error;
  }
}

/** The label as a PNG, then through ImageMagick. */
function photographed(name: string, widthMm: number, ...steps: string[]): string {
  const flat = path(`${name}-flat.png`);
  writeFileSync(flat, drawPng(qrCode(text, levelFor(widthMm)), widthMm));
  if (steps.length === 0) return flat;
  const file = path(steps.includes('-quality') ? `${name}.jpg` : `${name}.png`);
  execFileSync('convert', [flat, ...steps, '-depth', '8', file]);
  return file;
}

// Scratches and blots across the code, away from its three finder patterns.
const DIRT = ['-stroke', 'gray20', '-strokewidth', '4', '-fill', 'gray40'];
const SCRATCH = [...DIRT, '-draw', 'line 150,60 330,170', '-draw', 'circle 210,250 217,250'];
const BLOTS = [
  ...SCRATCH,
  '-draw',
  'circle 300,300 311,300',
  '-draw',
  'circle 130,180 138,180',
  '-draw',
  'line 120,350 330,210',
];

describe('the printed label', () => {
  test('is a code in alphanumeric mode, of the size that was measured', () => {
    const small = qrCode(text, levelFor(31));
    const large = qrCode(text, levelFor(34));
    // 311 bytes: version 13 at M, 17 at Q. In byte mode they would be 16 and 20.
    expect(decodeBase45(text.slice(5))).toHaveLength(311);
    expect([small.version, small.level, large.version, large.level]).toEqual([13, 'M', 17, 'Q']);
    expect(dotsPerModule(small, 31)).toBe(4);
    expect(dotsPerModule(large, 34)).toBe(4);
  });

  test.each([20, 31, 34, 60])('at %i mm zbar reads exactly the text, and it is the label', (widthMm) => {
    const read = zbar(photographed(`plain-${widthMm}`, widthMm));
    expect(read).toBe(text);
    expect(parseLabel(read).name).toBe('Gateways, March/26b');
  });

  test.each<[string, number, string[]]>([
    ['turned by 90°', 34, ['-rotate', '90']],
    ['turned by 180°', 31, ['-rotate', '180']],
    ['turned by 4°', 34, ['-resize', '200%', '-background', 'white', '-rotate', '4']],
    ['turned by −7°', 31, ['-resize', '200%', '-background', 'white', '-rotate', '-7']],
    ['blurred', 31, ['-blur', '0x1.6']],
    ['blurred on a large label', 60, ['-blur', '0x2']],
    ['with little contrast', 34, ['-level', '-80%,140%']],
    ['dirty', 34, SCRATCH],
    ['noisy', 34, ['-resize', '200%', '-seed', '7', '-attenuate', '0.4', '+noise', 'Gaussian']],
    ['as a poor JPEG', 34, ['-resize', '150%', '-quality', '25']],
  ])('zbar reads it %s', (name, widthMm, steps) => {
    expect(zbar(photographed(name.replace(/\W/g, '-'), widthMm, ...steps))).toBe(text);
  });

  test.each<[string, number, string[]]>([
    ['very dirty', 34, BLOTS],
    ['turned by 33°', 34, ['-resize', '200%', '-background', 'white', '-rotate', '33']],
    [
      'tilted',
      34,
      [
        '-resize',
        '200%',
        '-virtual-pixel',
        'white',
        '-distort',
        'Perspective',
        '0,0 40,60 744,0 700,0 744,744 744,744 0,744 0,690',
      ],
    ],
    [
      'dirty, turned and blurred',
      34,
      [...SCRATCH, '-resize', '200%', '-background', 'white', '-rotate', '12', '-blur', '0x2'],
    ],
    [
      'in a corner’s shadow',
      34,
      [
        '(',
        '+clone',
        '-sparse-color',
        'barycentric',
        '0,0 gray25 372,372 white',
        ')',
        '-compose',
        'multiply',
        '-composite',
      ],
    ],
  ])('zxing reads it %s', async (name, widthMm, steps) => {
    expect(await zxing(photographed(`zx-${name.replace(/\W/g, '-')}`, widthMm, ...steps))).toBe(text);
  });

  test('a QR code with other text is decoded, and refused as a label', () => {
    const other = path('other.png');
    for (const wrong of [
      'HTTPS://EXAMPLE.ORG/',
      `${text.slice(0, -1)}0`.replace(text, `${text}0`),
      'ENF2:00',
    ]) {
      writeFileSync(other, drawPng(qrCode(wrong, levelFor(34)), 34));
      expect(zbar(other)).toBe(wrong);
      let refused: unknown;
      try {
        parseLabel(zbar(other));
      } catch (error) {
        refused = error;
      }
      expect(isFailure(refused) && refused.code.startsWith('label.')).toBe(true);
    }
  });

  test('a code too dirty to read yields no text, never a wrong one', async () => {
    const file = photographed('hopeless', 34, '-fill', 'gray50', '-draw', 'rectangle 110,110 280,280');
    expect([zbar(file), await zxing(file)]).toEqual(['', '']);
  });

  test('a label that is too narrow is refused with the width it needs', () => {
    const code = qrCode(text, levelFor(15));
    expect(() => drawPng(code, 15)).toThrowError(
      expect.objectContaining({ code: 'factory.label-too-small' }),
    );
    expect(() => drawSvg(code, 15, [])).toThrowError(/need 20 mm/);
    expect(drawPng(qrCode(text, levelFor(20)), 20).length).toBeGreaterThan(100);
  });

  test('text beyond any QR code is refused', () => {
    expect(() => qrCode('A'.repeat(4000), 'M')).toThrowError(
      expect.objectContaining({ code: 'factory.label-too-long' }),
    );
  });
});

describe('PNG, SVG and terminal', () => {
  test('the PNG states 300 dpi and has a light quiet zone of four modules', () => {
    const file = photographed('identify', 34);
    const [size, resolution, mean] = execFileSync(
      'identify',
      ['-units', 'PixelsPerInch', '-format', '%w|%x|%k', file],
      { encoding: 'utf8' },
    ).split('|');
    expect(size).toBe(String((qrCode(text, levelFor(34)).size + 2 * QUIET_ZONE) * 4));
    expect(Math.round(Number.parseFloat(resolution!))).toBe(300);
    expect(mean).toBe('2');
    const corner = execFileSync(
      'convert',
      [file, '-crop', '372x16+0+0', '-format', '%[fx:minima]', 'info:'],
      { encoding: 'utf8' },
    );
    expect(corner).toBe('1');
  });

  test('the SVG, rendered, is read by zbar; it states its size in millimetres and contains its text', () => {
    const file = path('label.svg');
    const svg = drawSvg(qrCode(text, levelFor(34)), 34, describeGroup(group, 250));
    writeFileSync(file, svg);
    const png = path('label-svg.png');
    // ImageMagick without its SVG part still draws SVG's path syntax.
    const [, scale, d] = /scale\(([\d.]+)\)".* d="([^"]+)"/.exec(svg)!;
    const dots = (Number(scale) / 25.4) * 600;
    const draw = `scale ${dots},${dots} path '${d}'`;
    execFileSync('convert', ['-size', '800x800', 'xc:white', '-fill', 'black', '-draw', draw, png]);
    expect(zbar(png)).toBe(text);
    for (const line of [
      '>Gateways &lt;March&gt; &amp; &quot;April&quot;<',
      '>Müller<',
      '>Basename: xaprcnet<',
      '>Devices: 250<',
      '>Group: 0123 4567 89ab cdef 0123<',
    ])
      expect(svg).toContain(line);
    const width = (qrCode(text, levelFor(34)).size + 2 * QUIET_ZONE) * Number(scale);
    expect(width).toBeLessThanOrEqual(34);
    expect(svg).toMatch(/^<svg [^>]*width="[\d.]+mm" height="[\d.]+mm" viewBox="0 0 [\d.]+ [\d.]+">/);
    expect(svg).not.toContain(text);
  });

  test('a basename that is not printable is shown in hex', () => {
    const odd = { ...group, basename: Uint8Array.of(0, 0x41, 0xff) };
    expect(describeGroup(odd, 1)).toContain(`Basename: 0x${toHex(odd.basename)}`);
  });

  test.each([true, false])('the terminal’s output, read back as dots, is the code; colour: %s', (colour) => {
    const file = path(`terminal-${colour}.pbm`);
    const drawn = drawTerminal(qrCode(text, 'L'), colour);
    expect(drawn.includes('\u001b')).toBe(colour);
    const lines = drawn.split('\n').map((line) => line.replace(/[^ ▀▄█]+/g, ''));
    // Without colour the characters are light.
    const dot = (blocks: string, c: string): number => Number(blocks.includes(c) === colour);
    const rows = lines.flatMap((line) => [
      [...line].map((c) => dot('█▀', c)),
      [...line].map((c) => dot('█▄', c)),
    ]);
    writeFileSync(
      file,
      `P1\n${rows[0]!.length} ${rows.length}\n${rows.map((row) => row.join(' ')).join('\n')}\n`,
    );
    const png = path(`terminal-${colour}.png`);
    execFileSync('convert', [file, '-scale', '500%', png]);
    expect(zbar(png)).toBe(text);
    for (const line of lines) expect(line.length).toBeLessThanOrEqual(80);
  });
});
