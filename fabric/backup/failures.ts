import { Failure } from '../../protocol/failure.ts';

/** A backup that is not as it was written. */
export function damaged(what: string): Failure {
  return new Failure('backup.damaged', 'operator', `the backup is damaged: ${what}`, {
    action: 'Take another copy of it, or an older backup.',
  });
}

export function notABackup(cause?: unknown): Failure {
  return new Failure('backup.not-a-backup', 'operator', 'the file is not a backup of a fabric', {
    action: 'Give a file that "enf-fabric backup create" has written.',
    cause,
  });
}
