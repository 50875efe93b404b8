import { encodePng } from '../../os/files/png.ts';
import { Failure } from '../../protocol/failure.ts';
import { basenameText } from '../../protocol/label.ts';
import type { Group } from '../group/group.ts';
import { shortGid } from '../group/names.ts';
import { type QrCode, QUIET_ZONE } from './qr.ts';

export const DOTS_PER_INCH = 300;

const MM_PER_INCH = 25.4;
/** With fewer dots, a label printer's dot gain fills the light modules. */
const MIN_DOTS_PER_MODULE = 3;

const FONT_MM = 2.4;
const LINE_MM = 3.3;
/** Monospaced glyphs are 0.6 em wide. */
const GLYPH_MM = FONT_MM * 0.6;
const LINE_LENGTH = 32;

/** The text beside the code: enough of the GID to compare by eye. */
export function describeGroup(group: Group, devices: number): string[] {
  return [
    group.name,
    ...(group.vendor === undefined ? [] : [group.vendor]),
    `Basename: ${basenameText(group.basename)}`,
    `Devices: ${devices}`,
    `Group: ${shortGid(group.gid)}`,
  ];
}

/**
 * Dots per module of a code that is at most `widthMm` wide with its quiet zone, at 300 dpi: a whole number, so
 * that a printer draws all modules in the same size.
 * @throws Failure `factory.label-too-small`
 */
export function dotsPerModule(code: QrCode, widthMm: number): number {
  const modules = code.size + 2 * QUIET_ZONE;
  const dots = Math.floor(((widthMm / MM_PER_INCH) * DOTS_PER_INCH) / modules);
  if (dots >= MIN_DOTS_PER_MODULE) return dots;
  const needed = Math.ceil((modules * MIN_DOTS_PER_MODULE * MM_PER_INCH) / DOTS_PER_INCH);
  throw new Failure(
    'factory.label-too-small',
    'operator',
    `a width of ${widthMm} mm is too small for this label: its ${modules} modules need ${needed} mm`,
    { action: `Give --width-mm ${needed} or more.` },
  );
}

/** The code alone as a PNG of 300 dpi, quiet zone included. @throws Failure `factory.label-too-small` */
export function drawPng(code: QrCode, widthMm: number): Uint8Array {
  const dots = dotsPerModule(code, widthMm);
  const at = (dot: number): number => Math.floor(dot / dots) - QUIET_ZONE;
  return encodePng((code.size + 2 * QUIET_ZONE) * dots, DOTS_PER_INCH, (x, y) => isDark(code, at(y), at(x)));
}

/** Where the parts of a label are, in millimetres from its upper left corner. */
export interface LabelLayout {
  readonly width: number;
  readonly height: number;
  readonly moduleMm: number;
  /** The side of the code with its quiet zone; the text begins there. */
  readonly codeMm: number;
  /** Each with its baseline. */
  readonly lines: readonly { readonly text: string; readonly y: number }[];
  readonly fontMm: number;
}

/** The code, beside it the text. @throws Failure `factory.label-too-small` */
export function layOut(code: QrCode, widthMm: number, text: readonly string[]): LabelLayout {
  const moduleMm = (dotsPerModule(code, widthMm) * MM_PER_INCH) / DOTS_PER_INCH;
  const codeMm = (code.size + 2 * QUIET_ZONE) * moduleMm;
  const lines = text.flatMap(wrap);
  const height = Math.max(codeMm, (lines.length + 1) * LINE_MM);
  const top = Math.max(LINE_MM, (height - (lines.length - 1) * LINE_MM) / 2);
  return {
    width: codeMm + Math.max(...lines.map((line) => line.length)) * GLYPH_MM + LINE_MM,
    height,
    moduleMm,
    codeMm,
    lines: lines.map((line, i) => ({ text: line, y: top + i * LINE_MM })),
    fontMm: FONT_MM,
  };
}

/** A length as text, to a thousandth of a millimetre. */
export const mm = (value: number): string => String(Math.round(value * 1000) / 1000);

/** The label as an SVG in millimetres. @throws Failure `factory.label-too-small` */
export function drawSvg(code: QrCode, widthMm: number, text: readonly string[]): string {
  const { width, height, moduleMm, codeMm, lines, fontMm } = layOut(code, widthMm, text);
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${mm(width)}mm" height="${mm(height)}mm" viewBox="0 0 ${mm(width)} ${mm(height)}">`,
    `<rect width="100%" height="100%" fill="#fff"/>`,
    `<path transform="scale(${moduleMm})" shape-rendering="crispEdges" fill="#000" d="${svgPath(code)}"/>`,
    `<g font-family="DejaVu Sans Mono, monospace" font-size="${fontMm}">`,
    ...lines.map(({ text: line, y }) => `<text x="${mm(codeMm)}" y="${mm(y)}">${escapeXml(line)}</text>`),
    '</g>',
    '</svg>',
    '',
  ].join('\n');
}

/**
 * The code in half-block characters: in colour black on white, whatever the terminal's own colours are; without colour for light characters on
 * a dark ground.
 */
export function drawTerminal(code: QrCode, inColour: boolean): string {
  const lines: string[] = [];
  for (let row = -QUIET_ZONE; row < code.size + QUIET_ZONE; row += 2) {
    let line = '';
    for (let column = -QUIET_ZONE; column < code.size + QUIET_ZONE; column++) {
      const upper = isDark(code, row, column) === inColour;
      const lower = isDark(code, row + 1, column) === inColour;
      line += upper ? (lower ? '█' : '▀') : lower ? '▄' : ' ';
    }
    lines.push(inColour ? `\u001b[30;107m${line}\u001b[0m` : line);
  }
  return lines.join('\n');
}

function isDark(code: QrCode, row: number, column: number): boolean {
  return row >= 0 && column >= 0 && row < code.size && column < code.size && code.isDark(row, column);
}

/** A run of dark modules in a row of a code; row and column count from the edge of the quiet zone. */
export interface Run {
  readonly row: number;
  readonly column: number;
  readonly length: number;
}

/** The dark modules of a code. */
export function darkRuns(code: QrCode): Run[] {
  const runs: Run[] = [];
  for (let row = 0; row < code.size; row++) {
    for (let column = 0; column < code.size; column++) {
      let end = column;
      while (isDark(code, row, end)) end++;
      if (end === column) continue;
      runs.push({ row: row + QUIET_ZONE, column: column + QUIET_ZONE, length: end - column });
      column = end;
    }
  }
  return runs;
}

const svgPath = (code: QrCode): string =>
  darkRuns(code)
    .map(({ row, column, length }) => `M${column} ${row}h${length}v1h-${length}z`)
    .join('');

function wrap(line: string): string[] {
  const characters = [...line];
  const lines: string[] = [];
  for (let i = 0; i < characters.length; i += LINE_LENGTH)
    lines.push(characters.slice(i, i + LINE_LENGTH).join(''));
  return lines;
}

function escapeXml(text: string): string {
  const entities: Record<string, string> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' };
  return text.replace(/[&<>"]/g, (character) => entities[character]!);
}
