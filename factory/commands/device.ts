import type { Command } from '../../os/cli.ts';
import { readBounded } from '../../os/files.ts';
import { stderrLog } from '../../os/log.ts';
import { parseTrust, type Trust } from '../../protocol/identity/trust.ts';
import { decodeUtf8 } from '../../protocol/utf8.ts';
import { openGroup, unlockIssuer } from '../group.ts';
import { shortGid } from '../label.ts';
import { personaliseSoftware } from '../software.ts';
import { askPassphrase, GROUP_OPTION, PASSPHRASE_OPTION } from './group.ts';

export const devicePersonalise: Command = {
  name: 'device personalise',
  summary: 'make a device a member of a group',
  options: [
    GROUP_OPTION,
    { name: 'trust', value: 'FILE', help: 'the trust.json of the fabric the device will talk to' },
    PASSPHRASE_OPTION,
    { name: 'software', value: 'DIR', help: 'no TPM: write the credential and its key into this new folder' },
  ],
  examples: ['enf-factory device personalise --group groups/march --trust trust.json --software device-1'],
  async run(invocation) {
    const log = stderrLog();
    const group = await openGroup(invocation.required('group'));
    const trust = await readTrust(invocation.required('trust'));
    const issuerSecret = await unlockIssuer(group, askPassphrase(invocation, group));
    const folder = invocation.required('software');
    const progress = (step: string): void => log('info', step);
    const record = await personaliseSoftware({ group, issuerSecret, trust, folder, progress });
    invocation.print(
      { ...record, folder },
      () => `Member of ${group.name} (${shortGid(group.gid)}): ${folder}`,
    );
    return undefined;
  },
};

async function readTrust(path: string): Promise<Trust> {
  return parseTrust(decodeUtf8(await readBounded(path, 'trust bundle')) ?? '');
}
