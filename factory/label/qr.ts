// The only file that uses the npm package `qrcode`: the package computes the pattern, label.ts draws it.
import { create } from 'qrcode';
import { Failure } from '../../protocol/failure.ts';

/** A QR code as a square of modules, without its quiet zone. */
export interface QrCode {
  /** Modules per side. */
  readonly size: number;
  readonly version: number;
  readonly level: Level;
  isDark(row: number, column: number): boolean;
}

/** Light modules that a reader needs around the code (ISO/IEC 18004). */
export const QUIET_ZONE = 4;

/** From this width on, level Q is read more reliably (dirt); below it, the larger modules of level M are (blur). */
const LEVEL_Q_FROM_MM = 32;

/** How much of a damaged code can be repaired: 7, 15 or 25 %. */
export type Level = 'L' | 'M' | 'Q';

/** The level for a printed label `widthMm` wide. */
export const levelFor = (widthMm: number): Level => (widthMm >= LEVEL_Q_FROM_MM ? 'Q' : 'M');

/**
 * The QR code of a label's text in alphanumeric mode.
 * @throws Failure `factory.label-too-long` if no QR code holds it
 */
export function qrCode(text: string, level: Level): QrCode {
  try {
    const { modules, version } = create([{ data: text, mode: 'alphanumeric' }], {
      errorCorrectionLevel: level,
    });
    return {
      size: modules.size,
      version,
      level,
      isDark: (row, column) => modules.data[row * modules.size + column] === 1,
    };
  } catch (error) {
    throw new Failure(
      'factory.label-too-long',
      'operator',
      `a QR code of level ${level} cannot hold the ${text.length} characters of the label`,
      { action: 'Use a shorter vendor text.', cause: error },
    );
  }
}
