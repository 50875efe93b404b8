import { type Command, EXIT, type Invocation } from '../../cli/program.ts';
import { readBounded } from '../../os/files/read.ts';
import { Failure } from '../../protocol/failure.ts';
import { LABEL } from '../inspect/artifact.ts';
import { describeInspection } from '../inspect/inspect.ts';
import { type InspectionTarget, inspectTarget } from '../operations.ts';
import { TPM_OPTION } from './group.ts';

export const inspect: Command = {
  name: 'inspect',
  summary: 'show what a TPM, a file or a folder holds, and what is wrong with it',
  arguments: '[file]',
  options: [
    TPM_OPTION,
    {
      name: 'file',
      value: 'FILE',
      help: 'a key, credential, certificate, signature, label or trust bundle; also without --file',
    },
    {
      name: 'dir',
      value: 'DIR',
      help: 'a group or a software credential: check that its files belong together',
    },
    {
      name: 'maker-key',
      value: 'FILE',
      help: "the maker's public key (maker.pub): check that it has signed the label",
    },
  ],
  examples: [
    'enf-factory inspect',
    'enf-factory inspect daa_cred.bin',
    'enf-factory inspect --dir groups/march --json',
    'enf-factory inspect label.txt --maker-key maker.pub',
  ],
  async run(invocation) {
    const makerFile = invocation.option('maker-key');
    const named = target(invocation);
    if (makerFile !== undefined && 'tcti' in named) throw noLabel();
    const makerKey =
      makerFile === undefined
        ? undefined
        : new TextDecoder().decode(await readBounded(makerFile, "maker's public key"));
    const inspection = await inspectTarget({ ...named, makerKey });
    if (makerKey !== undefined && !inspection.findings.some(({ kind }) => kind === LABEL)) throw noLabel();
    invocation.print(inspection, () => describeInspection(inspection));
    return inspection.problems.length === 0 ? EXIT.ok : EXIT.failed;
  },
};

function target(invocation: Invocation): InspectionTarget {
  const [tcti, named, folder] = [TPM_OPTION.name, 'file', 'dir'].map((name) => invocation.option(name));
  const [given] = invocation.positionals;
  const file = named ?? given;
  if ([tcti, named, given, folder].filter((each) => each !== undefined).length > 1) {
    throw new Failure('cli.bad-arguments', 'operator', 'expected at most one of a file, --tpm and --dir', {
      action: 'See "enf-factory inspect --help".',
    });
  }
  if (file !== undefined) return { file };
  return folder === undefined ? { tcti } : { folder };
}

const noLabel = (): Failure =>
  new Failure('cli.bad-option', 'operator', '--maker-key is for labels, and there is none', {
    action: 'Give the file with the text of a label, or the folder of its group.',
  });
