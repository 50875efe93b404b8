import { readBounded } from '../../os/files/read.ts';
import { Failure, isFailure } from '../../protocol/failure.ts';

/** The text of a configuration file. @throws Failure `config.absent`, `os.not-readable`, `os.file-too-large` */
export async function readConfigFile(path: string, manual: string): Promise<string> {
  try {
    return new TextDecoder().decode(await readBounded(path, 'configuration'));
  } catch (error) {
    if (!isFailure(error) || error.code !== 'os.no-file') throw error;
    throw new Failure('config.absent', 'operator', `there is no configuration ${path}`, {
      action: `Write one (${manual}), or name another with --config.`,
      cause: error,
    });
  }
}
