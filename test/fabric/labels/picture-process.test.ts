import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { readQrCode } from '../../../fabric/labels/picture-process.ts';
import { scratch } from '../place.ts';
import { png } from './pictures.ts';

const picture = png(10, 10, 110);

/** What becomes of a picture if the process that decodes it runs this script. */
async function decodedBy(source: string): Promise<string> {
  const script = join(scratch(), 'decoder.mjs');
  writeFileSync(script, source);
  return readQrCode(picture, 'label.png', script).catch(({ code }: { code: string }) => code);
}

test('[H-A7] a decoder that fills the memory is ended, and nobody else is', async () => {
  const answer = 'process.once("message", ({ bytes }) => process.send({ texts: [String(bytes.length)] }));';
  expect(await decodedBy(answer)).toBe(String(picture.length));
  expect(await decodedBy(`const all = []; for (;;) all.push(Buffer.alloc(1 << 26, 1));`)).toBe(
    'label.not-decoded',
  );
  expect(await decodedBy('process.exit(3);')).toBe('label.not-decoded');
});
