import { type Command, EXIT, type Invocation } from '../../os/cli.ts';
import { Failure } from '../../protocol/failure.ts';
import { describeInspection, type Inspection, inspectFile, inspectFolder } from '../inspect.ts';

export const inspect: Command = {
  name: 'inspect',
  summary: 'say what a file or a folder holds, and what is wrong with it',
  options: [
    { name: 'file', value: 'FILE', help: 'a key, credential, certificate, signature, label or trust bundle' },
    { name: 'dir', value: 'DIR', help: 'a group or a software credential: do its files fit together?' },
  ],
  examples: ['enf-factory inspect --dir groups/march', 'enf-factory inspect --file daa_cred.bin --json'],
  async run(invocation) {
    const inspection = await look(invocation);
    invocation.print(inspection, () => describeInspection(inspection));
    return inspection.problems.length === 0 ? EXIT.ok : EXIT.failed;
  },
};

async function look(invocation: Invocation): Promise<Inspection> {
  const [file, folder] = [invocation.option('file'), invocation.option('dir')];
  if ((file === undefined) === (folder === undefined)) {
    throw new Failure('cli.bad-arguments', 'operator', 'expected either --file or --dir', {
      action: 'See "enf-factory inspect --help".',
    });
  }
  return file === undefined ? inspectFolder(folder!) : inspectFile(file);
}
