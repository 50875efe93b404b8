import { writeFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { readPassphrase, readPasswordFile } from '../../cli/passphrase.ts';
import { encodeUtf8 } from '../../protocol/utf8.ts';
import { expectFailure, scratch } from '../factory/folders.ts';

const path = scratch();
const words = encodeUtf8('correct horse');

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
