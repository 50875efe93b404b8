import { stat } from 'node:fs/promises';
import { readBounded } from '../os/files/read.ts';
import { checkBasename } from '../protocol/label.ts';
import { encodeUtf8 } from '../protocol/utf8.ts';

const MAX_FILE = 1_024;

/**
 * A group's basename as it is given on a command line: the name of a file with its bytes (as the C tools have it), else the text itself.
 * @throws Failure `label.bad-basename`, `os.not-readable`, `os.file-too-large`
 */
export async function readBasename(given: string): Promise<Uint8Array> {
  const isFile = await stat(given).then(
    (found) => found.isFile(),
    () => false,
  );
  const basename = isFile ? await readBounded(given, 'basename', MAX_FILE) : encodeUtf8(given);
  checkBasename(basename);
  return basename;
}
