import { readBasename } from '../../cli/basename.ts';
import { readPassphrase } from '../../cli/passphrase.ts';
import type { Command, Invocation, Option } from '../../cli/program.ts';
import { wipe } from '../../protocol/bytes.ts';
import { DEFAULT_TCTI } from '../../tpm/context.ts';
import { createGroup, type Group, type GroupRequest } from '../group/group.ts';
import { shortGid } from '../group/names.ts';
import { importGroupFiles, showGroup } from '../operations.ts';

/** Options that several commands share. */
export const GROUP_OPTION: Option = { name: 'group', value: 'DIR', help: 'folder of the group' };
export const TRUST_OPTION: Option = {
  name: 'trust',
  value: 'FILE',
  help: 'trust bundle (trust.json) of the fabric that the device will connect to',
};
export const TCTI_OPTION: Option = {
  name: 'tcti',
  value: 'TCTI',
  help: `how to reach the TPM, e.g. swtpm:host=127.0.0.1,port=2321 (default ${DEFAULT_TCTI})`,
};
export const PASSPHRASE_OPTION: Option = {
  name: 'passphrase-file',
  value: 'FILE',
  help: "file with the passphrase of the issuer's secret key (default: ask on the terminal)",
};

/** The passphrase of an encrypted issuer key, from the file named or the terminal. */
export function askPassphrase(invocation: Invocation, group: Group): () => Promise<Uint8Array> {
  const file = invocation.option(PASSPHRASE_OPTION.name);
  return () => readPassphrase(file === undefined ? { prompt: `Passphrase of ${group.name}` } : { file });
}

/** What both ways to make a group need. */
const NEW_GROUP: readonly Option[] = [
  { name: 'name', value: 'TEXT', help: 'display name of the group, at most 60 bytes' },
  {
    name: 'basename',
    value: 'TEXT|FILE',
    help: 'the basename of the network, 1 to 64 bytes, or a file with them',
  },
  { name: 'vendor', value: 'TEXT', help: 'manufacturer of the devices, printed on the label' },
  { name: 'out', value: 'DIR', help: 'the new folder; an existing one is never overwritten' },
  { ...PASSPHRASE_OPTION, help: "encrypt the issuer's secret key under the passphrase in this file" },
  {
    name: 'ask-passphrase',
    help: "encrypt the issuer's secret key under a passphrase typed on the terminal",
  },
];

export const groupCreate: Command = {
  name: 'group create',
  summary: 'create a group: issuer keys, GID and label in a new folder',
  options: NEW_GROUP,
  examples: [
    'enf-factory group create --name "Gateways, March" --basename xaprcnet --out groups/march --ask-passphrase',
  ],
  run: (invocation) => makeGroup(invocation, createGroup),
};

export const groupImport: Command = {
  name: 'group import',
  summary: 'make the folder of a group whose issuer keys the C ecdaa tool has made; its devices stay members',
  options: [
    { name: 'ipk', value: 'FILE', help: "the issuer's public key, 354 bytes" },
    { name: 'isk', value: 'FILE', help: "the issuer's secret key, 64 bytes" },
    { name: 'gpk', value: 'FILE', help: 'the group public key, 258 bytes, to be compared' },
    ...NEW_GROUP,
  ],
  examples: [
    'enf-factory group import --ipk ipk.bin --isk isk.bin --gpk daa_gpk.bin --basename basename.bin --name "Old batch" --out groups/old',
  ],
  run(invocation) {
    const files = {
      ipk: invocation.required('ipk'),
      isk: invocation.required('isk'),
      gpk: invocation.option('gpk'),
    };
    return makeGroup(invocation, (request) => importGroupFiles(request, files));
  },
};

async function makeGroup(
  invocation: Invocation,
  make: (request: GroupRequest) => Promise<Group>,
): Promise<undefined> {
  const folder = invocation.required('out');
  const name = invocation.required('name');
  const basename = await readBasename(invocation.required('basename'));
  const passphrase = await newPassphrase(invocation, 'New passphrase of the issuer key');
  try {
    const group = await make({ folder, name, basename, vendor: invocation.option('vendor'), passphrase });
    invocation.print(
      { folder, gid: group.gid, encrypted: passphrase !== undefined },
      () =>
        `Group ${shortGid(group.gid)} is in ${folder}; its issuer key is ${passphrase ? 'encrypted' : 'not encrypted'}.\nAnyone who has label.txt can admit these devices to a fabric: ship it with them, and keep it secret.`,
    );
  } finally {
    if (passphrase) wipe(passphrase);
  }
  return undefined;
}

/** The passphrase of a new key, if one is wanted: from the file named or the terminal. */
export async function newPassphrase(invocation: Invocation, prompt: string): Promise<Uint8Array | undefined> {
  const file = invocation.option(PASSPHRASE_OPTION.name);
  if (file !== undefined) return readPassphrase({ file });
  if (invocation.flag('ask-passphrase')) return readPassphrase({ prompt, twice: true });
  return undefined;
}

export const groupShow: Command = {
  name: 'group show',
  summary: 'show a group and how many devices it has',
  options: [GROUP_OPTION],
  async run(invocation) {
    const view = await showGroup(invocation.required('group'));
    const { name, vendor, basename, gid, created, devices, issuerSecret } = view;
    invocation.print(view, () =>
      [
        `Name           ${name}`,
        ...(vendor === undefined ? [] : [`Vendor         ${vendor}`]),
        `Basename       ${basename}`,
        `Group (GID)    ${gid}`,
        `Created        ${created}`,
        `Devices        ${devices}`,
        `Issuer secret  ${issuerSecret}`,
      ].join('\n'),
    );
    return undefined;
  },
};
