import { darkRuns, type LabelLayout } from './label.ts';
import { type QrCode, QUIET_ZONE } from './qr.ts';

const MM_PER_INCH = 25.4;

/** Resolutions of label printers that speak ZPL II, dots per inch: 8, 12 and 24 dots per millimetre. */
export const ZPL_DPI = [203, 300, 600] as const;
export type ZplDpi = (typeof ZPL_DPI)[number];

/** With fewer dots the light modules fill. */
const MIN_DOTS = 3;

/** How many dots a module has on such a printer, in a code at most `widthMm` wide; undefined if they are too few. */
export function zplDots(code: QrCode, widthMm: number, dpi: ZplDpi): number | undefined {
  const dots = Math.floor(((widthMm / MM_PER_INCH) * dpi) / (code.size + 2 * QUIET_ZONE));
  return dots < MIN_DOTS ? undefined : dots;
}

/** A label for a printer: the code as dots, so that it is printed as it is, and the text beside it in the printer's font. */
export function drawZpl(code: QrCode, dots: number, label: LabelLayout, dpi: ZplDpi): string {
  const side = (code.size + 2 * QUIET_ZONE) * dots;
  const inDots = (millimetres: number): number => Math.round((millimetres / MM_PER_INCH) * dpi);
  const height = inDots(label.fontMm);
  return [
    '^XA^CI28',
    `^PW${side + inDots(label.width - label.codeMm)}^LL${Math.max(side, inDots(label.height))}`,
    `^FO0,0^GFA,${bitmapFields(code, dots, side)}^FS`,
    ...label.lines.map(
      ({ text, y }) =>
        `^FO${side},${inDots(y) - height}^A0N,${height},${Math.round(height * 0.8)}^FH^FD${escaped(text)}^FS`,
    ),
    '^XZ',
    '',
  ].join('\n');
}

/** Bytes, bytes, bytes in a row, and the rows in hex. */
function bitmapFields(code: QrCode, dots: number, side: number): string {
  const rowBytes = Math.ceil(side / 8);
  const rows = Array.from({ length: side }, () => new Uint8Array(rowBytes));
  for (const { row, column, length } of darkRuns(code)) {
    for (let y = row * dots; y < (row + 1) * dots; y++)
      for (let x = column * dots; x < (column + length) * dots; x++) rows[y]![x >> 3]! |= 0x80 >> (x & 7);
  }
  const hex = rows.map((row) => [...row].map((byte) => byte.toString(16).padStart(2, '0')).join('')).join('');
  return `${rowBytes * side},${rowBytes * side},${rowBytes},${hex.toUpperCase()}`;
}

/** What ZPL would take for a command, and its escape itself. */
const escaped = (text: string): string =>
  text.replace(/[\^~_\\]/g, (character) => `_${character.charCodeAt(0).toString(16).padStart(2, '0')}`);
