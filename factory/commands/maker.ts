import type { Command } from '../../cli/program.ts';
import { wipe } from '../../protocol/bytes.ts';
import { createMaker } from '../maker/maker.ts';
import { newPassphrase, PASSPHRASE_OPTION } from './group.ts';

export const makerCreate: Command = {
  name: 'maker create',
  summary: "create the maker's key, which signs the manifests of batches",
  options: [
    { name: 'out', value: 'DIR', help: 'the new folder; an existing one is never overwritten' },
    { ...PASSPHRASE_OPTION, help: 'encrypt the key under the passphrase in this file' },
    { name: 'ask-passphrase', help: 'encrypt the key under a passphrase typed on the terminal' },
  ],
  examples: ['enf-factory maker create --out maker --ask-passphrase'],
  async run(invocation) {
    const folder = invocation.required('out');
    const passphrase = await newPassphrase(invocation, "New passphrase of the maker's key");
    try {
      const { publicKey, encrypted } = await createMaker(folder, passphrase);
      invocation.print(
        { folder, publicKey, encrypted },
        () =>
          `The maker's key is in ${folder}, ${encrypted ? 'encrypted' : 'not encrypted'}. Give maker.pub to those who check your manifests.`,
      );
    } finally {
      if (passphrase) wipe(passphrase);
    }
    return undefined;
  },
};
