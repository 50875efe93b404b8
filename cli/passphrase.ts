import { readBounded } from '../os/files/read.ts';
import { equal } from '../protocol/bytes.ts';
import { Failure } from '../protocol/failure.ts';
import { askHidden } from './prompt.ts';

const MIN_PASSPHRASE = 8;
const MAX_PASSPHRASE = 1024;

/**
 * A passphrase from the first line of a file, or asked for on the terminal (`twice` when it is a new one).
 * The caller wipes it.
 * @throws Failure `os.bad-passphrase`, `os.no-terminal`, `os.cancelled`, and those of `readBounded`
 */
export async function readPassphrase(
  source: { file: string } | { prompt: string; twice?: boolean },
): Promise<Uint8Array> {
  if ('file' in source)
    return checkPassphrase(firstLine(await readSecretFile(source.file, 'passphrase file')));
  const passphrase = checkPassphrase(await askHidden(`${source.prompt}: `));
  if (source.twice) {
    const again = await askHidden(`${source.prompt}, again: `);
    const same = equal(again, passphrase);
    again.fill(0);
    if (!same) {
      passphrase.fill(0);
      throw new Failure('os.bad-passphrase', 'operator', 'the two passphrases differ', {
        action: 'Run the command again and type the same passphrase twice.',
      });
    }
  }
  return passphrase;
}

/**
 * The first line of a file that holds a TPM hierarchy's password, without its line end; may be empty.
 * @throws Failure those of `readBounded`
 */
export async function readPasswordFile(path: string): Promise<Uint8Array> {
  return firstLine(await readSecretFile(path, 'password file'));
}

const readSecretFile = (path: string, what: string): Promise<Uint8Array> =>
  readBounded(path, what, MAX_PASSPHRASE + 2);

function firstLine(bytes: Uint8Array): Uint8Array {
  const end = bytes.findIndex((byte) => byte === 0x0a || byte === 0x0d);
  const line = end < 0 ? bytes.slice() : bytes.slice(0, end);
  bytes.fill(0);
  return line;
}

function checkPassphrase(passphrase: Uint8Array): Uint8Array {
  if (passphrase.length >= MIN_PASSPHRASE && passphrase.length <= MAX_PASSPHRASE) return passphrase;
  throw new Failure(
    'os.bad-passphrase',
    'operator',
    `a passphrase has ${MIN_PASSPHRASE} to ${MAX_PASSPHRASE} bytes, got ${passphrase.length}`,
    { action: 'Choose a longer passphrase; a few random words are easy to type.' },
  );
}
