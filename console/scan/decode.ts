import { prepareZXingModule, type ReadInputBarcodeFormat, readBarcodes } from 'zxing-wasm/reader';
import wasm from 'zxing-wasm/reader/zxing_reader.wasm';

/** Those of our labels, and others that are on boxes: so that somebody who scans one of them is told. */
const FORMATS: ReadInputBarcodeFormat[] = ['QRCode', 'DataMatrix', 'Code128', 'EAN-13'];

/** The texts of the codes in a picture. */
export async function readCodes(picture: ImageData | Blob): Promise<readonly string[]> {
  const found = await readBarcodes(picture, { formats: FORMATS, tryHarder: true, maxNumberOfSymbols: 4 });
  return found.filter(({ isValid }) => isValid).map(({ text }) => text);
}

/** Loads the decoder, which the console serves itself. */
export async function loadDecoder(): Promise<void> {
  await prepareZXingModule({ overrides: { locateFile: () => wasm }, fireImmediately: true });
}
