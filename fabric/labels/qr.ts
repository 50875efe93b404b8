import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { prepareZXingModule, readBarcodes } from 'zxing-wasm/reader';
import { Failure } from '../../protocol/failure.ts';

/** The decoder's WebAssembly lies in the installed package; without this it would be fetched from the network. */
const WASM = 'zxing-wasm/reader/zxing_reader.wasm';
let prepared: Promise<void> | undefined;

async function prepare(): Promise<void> {
  const wasm = await readFile(createRequire(import.meta.url).resolve(WASM));
  const wasmBinary = wasm.buffer.slice(wasm.byteOffset, wasm.byteOffset + wasm.length) as ArrayBuffer;
  await prepareZXingModule({ overrides: { wasmBinary }, fireImmediately: true });
}

/**
 * The text of the one QR code in a picture (PNG or JPEG). `name` names the picture in the failure.
 * @throws Failure `label.no-code`, `label.many-codes`
 */
export async function readQrCode(picture: Uint8Array, name: string): Promise<string> {
  prepared ??= prepare();
  await prepared;
  const found = await readBarcodes(picture, { formats: ['QRCode'], tryHarder: true, maxNumberOfSymbols: 4 });
  const texts = new Set(found.filter((code) => code.isValid).map((code) => code.text));
  if (texts.size > 1) {
    throw new Failure('label.many-codes', 'operator', `${name} shows ${texts.size} QR codes`, {
      action: 'Cut the picture so that only the label of the batch is on it.',
    });
  }
  const [text] = texts;
  if (text === undefined) {
    throw new Failure('label.no-code', 'operator', `no QR code can be read in ${name}`, {
      action: 'Take a sharper or closer picture, PNG or JPEG, or give the text that came with the shipment.',
    });
  }
  return text;
}
