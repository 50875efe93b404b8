import { readPassphrase } from '../../cli/passphrase.ts';
import type { Command, Invocation, Option } from '../../cli/program.ts';
import { wipe } from '../../protocol/bytes.ts';
import { createMaker, type LabelSigner, openMaker } from '../maker/maker.ts';
import { newPassphrase, PASSPHRASE_OPTION } from './group.ts';

export const MAKER_OPTION: Option = {
  name: 'maker',
  value: 'DIR',
  help: 'folder that "maker create" made',
};
export const MAKER_PASSPHRASE_OPTION: Option = {
  ...PASSPHRASE_OPTION,
  help: "file with the passphrase of the maker's key (default: ask on the terminal)",
};

/** Options of commands that draw labels. */
export const SIGNER_OPTIONS: readonly Option[] = [
  { ...MAKER_OPTION, help: 'sign the label with the key in this folder, which "maker create" made' },
  MAKER_PASSPHRASE_OPTION,
];

/** The passphrase of an encrypted key of a maker, from the file named or the terminal. */
export function askMakerPassphrase(invocation: Invocation): () => Promise<Uint8Array> {
  const file = invocation.option(MAKER_PASSPHRASE_OPTION.name);
  return () => readPassphrase(file === undefined ? { prompt: "Passphrase of the maker's key" } : { file });
}

/** Who signs, if somebody is named. @throws Failure those of `openMaker` */
export async function readSigner(invocation: Invocation): Promise<LabelSigner | undefined> {
  const folder = invocation.option(MAKER_OPTION.name);
  if (folder === undefined) return undefined;
  return { maker: await openMaker(folder), passphrase: askMakerPassphrase(invocation) };
}

export const makerCreate: Command = {
  name: 'maker create',
  summary: "create the maker's key, which signs manifests and labels of batches",
  options: [
    {
      name: 'out',
      value: 'DIR',
      help: 'the new folder; an existing one is never overwritten',
      required: true,
    },
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
          `The maker's key is in ${folder}, ${encrypted ? 'encrypted' : 'not encrypted'}. Give maker.pub to those who check what you sign.`,
      );
    } finally {
      if (passphrase) wipe(passphrase);
    }
    return undefined;
  },
};
