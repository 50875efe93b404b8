import { readFile } from 'node:fs/promises';
import { prepareZXingModule, readBarcodes } from 'zxing-wasm/reader';
import { assetPath } from '../../os/files/asset.ts';

/** The decoder's WebAssembly lies in the installed package; without this it would be fetched from the network. */
const WASM = 'zxing-wasm/reader/zxing_reader.wasm';

/** The different texts of the QR codes in a picture (PNG or JPEG), at most four; none if it is not a picture. */
export async function readQrCodes(picture: Uint8Array): Promise<string[]> {
  const wasm = await readFile(assetPath(import.meta.url, 'zxing_reader.wasm', WASM));
  const wasmBinary = wasm.buffer.slice(wasm.byteOffset, wasm.byteOffset + wasm.length) as ArrayBuffer;
  await prepareZXingModule({ overrides: { wasmBinary }, fireImmediately: true });
  const found = await readBarcodes(picture, { formats: ['QRCode'], tryHarder: true, maxNumberOfSymbols: 4 });
  return [...new Set(found.filter((code) => code.isValid).map((code) => code.text))];
}
