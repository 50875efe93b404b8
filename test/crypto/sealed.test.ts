import { describe, expect, test } from 'vitest';
import { checkContainer, openSecret, sealSecret } from '../../crypto/sealed.ts';
import { encodeUtf8 } from '../../protocol/utf8.ts';
import { expectFailure } from '../factory/folders.ts';

const secret = Uint8Array.from({ length: 64 }, (_, i) => i);
const words = encodeUtf8('correct horse');

describe('a secret under a passphrase', () => {
  test('is decrypted with its passphrase and not with another', async () => {
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

  test('parameters that would cost gigabytes, and a truncated container, are refused before any work', async () => {
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
