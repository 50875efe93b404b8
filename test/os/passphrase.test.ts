import { writeFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import {
  checkContainer,
  openSecret,
  readPassphrase,
  readPasswordFile,
  sealSecret,
} from '../../os/passphrase.ts';
import { encodeUtf8 } from '../../protocol/utf8.ts';
import { expectFailure, scratch } from '../factory/folders.ts';

const path = scratch();
const secret = Uint8Array.from({ length: 64 }, (_, i) => i);
const words = encodeUtf8('correct horse');

describe('a secret under a passphrase', () => {
  test('comes back with the passphrase and not with another', async () => {
    const container = await sealSecret(secret, words);
    expect(container).toHaveLength(36 + 64 + 16);
    expect(await openSecret(container, words)).toEqual(secret);
    await expectFailure(openSecret(container, encodeUtf8('correct horsf')), 'os.wrong-passphrase');
    await expectFailure(openSecret(container, new Uint8Array()), 'os.wrong-passphrase');
    // Fresh salt and nonce each time.
    const again = await sealSecret(secret, words);
    expect(again.slice(8, 36)).not.toEqual(container.slice(8, 36));
  });

  test.each<[string, number, string]>([
    ['magic', 0, 'os.bad-container'],
    ['version', 4, 'os.bad-container'],
    ['salt', 9, 'os.wrong-passphrase'],
    ['nonce', 30, 'os.wrong-passphrase'],
    ['ciphertext', 40, 'os.wrong-passphrase'],
    ['tag', 115, 'os.wrong-passphrase'],
  ])('a changed %s is refused', async (_, at, code) => {
    const container = await sealSecret(secret, words);
    container[at]! ^= 1;
    await expectFailure(openSecret(container, words), code);
  });

  test('parameters that would cost gigabytes are refused before any work, a cut container too', async () => {
    const container = await sealSecret(secret, words);
    for (const [at, value] of [
      [5, 21],
      [5, 255],
      [5, 0],
      [6, 9],
      [6, 0],
      [7, 5],
    ] as const) {
      const greedy = container.slice();
      greedy[at] = value;
      await expectFailure(openSecret(greedy, words), 'os.bad-container');
    }
    for (const length of [0, 3, 8, 36, 52])
      expect(() => checkContainer(container.subarray(0, length))).toThrowError(/ENFK/);
  });
});

describe('passphrase and password files', () => {
  const file = (content: string): string => {
    const name = path(`words-${content.length}`);
    writeFileSync(name, content);
    return name;
  };

  test('hold it in their first line', async () => {
    expect(await readPassphrase({ file: file('correct horse\n') })).toEqual(words);
    expect(await readPassphrase({ file: file('correct horse\r\nnot this') })).toEqual(words);
    expect(await readPasswordFile(file('pw'))).toEqual(encodeUtf8('pw'));
    expect(await readPasswordFile(file('\n'))).toEqual(new Uint8Array());
  });

  test('too short, missing or no terminal to ask on is a Failure', async () => {
    await expectFailure(readPassphrase({ file: file('short\n') }), 'os.bad-passphrase');
    await expectFailure(readPassphrase({ file: file('') }), 'os.bad-passphrase');
    await expectFailure(readPassphrase({ file: path('absent') }), 'os.no-file');
    await expectFailure(readPassphrase({ file: file('x'.repeat(2000)) }), 'os.file-too-large');
    await expectFailure(readPassphrase({ prompt: 'Passphrase' }), 'os.no-terminal');
  });
});
