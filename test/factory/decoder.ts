import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { prepareZXingModule, readBarcodes } from 'zxing-wasm/reader';

const wasm = readFileSync(createRequire(import.meta.url).resolve('zxing-wasm/reader/zxing_reader.wasm'));
prepareZXingModule({
  overrides: { wasmBinary: wasm.buffer.slice(wasm.byteOffset, wasm.byteOffset + wasm.length) as ArrayBuffer },
});

/** What zxing reads in a picture: the decoder that the fabric ships. */
export async function zxing(file: string): Promise<string> {
  const [first] = await readBarcodes(readFileSync(file), { formats: ['QRCode'], tryHarder: true });
  return first?.text ?? '';
}
