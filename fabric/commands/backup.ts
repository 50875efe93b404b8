import { readPassphrase } from '../../cli/passphrase.ts';
import type { Command, Invocation, Option } from '../../cli/program.ts';
import { type BackupView, createBackup } from '../backup/create.ts';
import type { Progress } from '../backup/progress.ts';
import { isEncrypted } from '../backup/read.ts';
import { restoreBackup, verifyBackup } from '../backup/restore.ts';
import { DATA, operator } from './common/context.ts';
import { when } from './common/list.ts';
import { progressOf } from './common/progress.ts';
import { requireHere } from './common/remote.ts';

const PASSPHRASE_FILE: Option = {
  name: 'passphrase-file',
  value: 'FILE',
  help: 'file with the passphrase of an encrypted backup (default: ask on the terminal)',
};

const backupCreate: Command = {
  name: 'backup create',
  summary:
    'Writes the registry, keys and certificates into one file, while the fabric serves or not, and checks it.',
  arguments: '<file>',
  options: [
    { ...PASSPHRASE_FILE, help: 'encrypt the backup under the passphrase in this file' },
    { name: 'ask-passphrase', help: 'encrypt the backup under a passphrase typed on the terminal' },
    DATA,
  ],
  examples: [
    'enf-fabric backup create /mnt/backup/fabric-2026-11-28.tar',
    'enf-fabric backup create fabric.backup --passphrase-file /root/backup-passphrase',
  ],
  async run(invocation) {
    requireHere(invocation, DATA);
    const file = invocation.positionals[0]!;
    const passphrase = await newPassphrase(invocation);
    const options = { passphrase, progress: progressOf(invocation) };
    try {
      const made = await createBackup(invocation.required('data'), file, options);
      invocation.print(
        made,
        () =>
          `${summaryOf(made)}\n${
            made.encrypted
              ? 'Without the passphrase nobody can read it, you included.'
              : 'It holds the keys of the fabric: keep it where nobody else can read it.'
          }`,
      );
    } finally {
      passphrase?.fill(0);
    }
    return undefined;
  },
};

const backupVerify: Command = {
  name: 'backup verify',
  summary: 'Checks everything in a backup that a restore would put in place, and changes nothing.',
  arguments: '<file>',
  options: [PASSPHRASE_FILE],
  examples: ['enf-fabric backup verify /mnt/backup/fabric-2026-11-28.tar'],
  async run(invocation) {
    const file = invocation.positionals[0]!;
    const found = await withPassphrase(invocation, file, (options) => verifyBackup(file, options));
    invocation.print(found, () => `${summaryOf(found)}\nIt is whole and can be restored.`);
    return undefined;
  },
};

const restore: Command = {
  name: 'restore',
  summary:
    'Puts a backup in place as a new data folder; afterwards devices that are newer than it come back by themselves.',
  arguments: '<file>',
  options: [PASSPHRASE_FILE, DATA],
  examples: [
    'enf-fabric restore /mnt/backup/fabric-2026-11-28.tar',
    'enf-fabric restore fabric.backup --passphrase-file /root/backup-passphrase --data ./drill',
  ],
  async run(invocation) {
    const file = invocation.positionals[0]!;
    const data = invocation.required('data');
    const found = await withPassphrase(invocation, file, (options) =>
      restoreBackup(file, data, operator(), options),
    );
    invocation.print(
      found,
      () =>
        `${summaryOf(found)}\nRestored in ${data}. What an owner changed after ${when(found.created)} is not in it: ` +
        'ban and suspend again who was, and add again the networks and groups that were added.',
    );
    return undefined;
  },
};

export const backupCommands: readonly Command[] = [backupCreate, backupVerify, restore];

function summaryOf({ file, created, audit, networks, groups, devices }: BackupView): string {
  return (
    `${file}: networks ${networks}, groups ${groups}, devices ${devices}; of ${when(created)}\n` +
    `Audit head ${audit.entries}:${audit.head}`
  );
}

async function newPassphrase(invocation: Invocation): Promise<Uint8Array | undefined> {
  const file = invocation.option('passphrase-file');
  if (file !== undefined) return readPassphrase({ file });
  return invocation.flag('ask-passphrase')
    ? readPassphrase({ prompt: 'New passphrase of the backup', twice: true })
    : undefined;
}

/** Calls `work` with the passphrase if one is given, or needed. */
async function withPassphrase<T>(
  invocation: Invocation,
  file: string,
  work: (options: { passphrase: Uint8Array | undefined; progress: Progress }) => Promise<T>,
): Promise<T> {
  const given = invocation.option('passphrase-file');
  const asked = given !== undefined || (await isEncrypted(file));
  const source = given === undefined ? { prompt: 'Passphrase of the backup' } : { file: given };
  const passphrase = asked ? await readPassphrase(source) : undefined;
  try {
    return await work({ passphrase, progress: progressOf(invocation) });
  } finally {
    passphrase?.fill(0);
  }
}
