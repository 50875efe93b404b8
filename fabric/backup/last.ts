import { join } from 'node:path';
import { writeDurable } from '../../os/files/durable.ts';
import { readIfThere } from '../../os/files/read.ts';

/** Hidden, so that it is in no backup: it is about this host's. Not private: whoever makes backups may be another user than who serves. */
const fileIn = (data: string): string => join(data, '.last-backup');

/** Keeps when a backup was made, ISO 8601. @throws Failure `os.…` */
export const noteBackup = (data: string, created: string): Promise<void> =>
  writeDurable(fileIn(data), `${created}\n`, 0o644);

/** When the newest backup of this folder was made, milliseconds since 1970; undefined if none is known. */
export async function lastBackup(data: string): Promise<number | undefined> {
  const bytes = await readIfThere(fileIn(data), 'time of the last backup').catch(() => undefined);
  const at = bytes === undefined ? Number.NaN : Date.parse(new TextDecoder().decode(bytes).trim());
  return Number.isNaN(at) ? undefined : at;
}
